# bash completion of pylock. What may follow comes from pylock itself, a line each, and is only ever data here.

_pylock() {
  local place answer
  for ((place = 1; place < COMP_CWORD; place++)); do
    if [[ ${COMP_WORDS[1]} == @(run|flom) && ${COMP_WORDS[place]} == -- ]]; then
      _pylock_command $((place + 1))
      return
    fi
  done
  local line=${COMP_WORDS[*]:0:COMP_CWORD+1}
  [[ -z $COMP_LINE ]] || line=${COMP_LINE:0:COMP_POINT} # which has the words as they were typed
  mapfile -t answer < <(pylock completion --line "$line" -- "$COMP_WORDBREAKS" 2>/dev/null)
  COMPREPLY=("${answer[@]:1}")
  case ${answer[0]} in
    files) compopt -o default 2>/dev/null ;;
    directories) compopt -o dirnames 2>/dev/null ;;
    commands) [[ $2 == */* ]] || mapfile -t COMPREPLY < <(compgen -c -- "$2") ;;
  esac
}

# The command behind "--" is completed as if it stood alone, where bash-completion is there to do that.
_pylock_command() {
  if declare -F _comp_command_offset >/dev/null; then
    _comp_command_offset "$1"
  elif declare -F _command_offset >/dev/null; then
    _command_offset "$1"
  else
    local word=${COMP_WORDS[COMP_CWORD]}
    [[ $COMP_CWORD != "$1" || $word == */* ]] || mapfile -t COMPREPLY < <(compgen -c -- "$word")
    compopt -o default 2>/dev/null
  fi
}

complete -F _pylock pylock
