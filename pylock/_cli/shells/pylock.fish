# fish completion of pylock. What may follow comes from pylock itself, a line each, and is only ever data here.

function __pylock_answer
    set -l before (commandline -opc)
    set -l current (commandline -ct)
    set -e before[1]
    if contains -- "$before[1]" run flom; and set -l place (contains -i -- -- $before)
        set -l command (string escape -- $before[(math $place + 1)..-1])
        test $place -eq (count $before); and set command
        complete -C (string join -- ' ' $command $current)
        return
    end
    set -l answer (pylock completion --answer -- $before (string unescape -- $current; or echo -- $current) 2>/dev/null)
    set -l kind $answer[1]
    set -e answer[1]
    set -l prefix (string match -r -- '^--[a-z-]+=' $current)
    set -l path (string replace -- "$prefix" '' $current)
    switch "$kind"
        case files
            string replace -r -- '^' "$prefix" (__fish_complete_path $path)
        case directories
            string replace -r -- '^' "$prefix" (__fish_complete_directories $path '')
        case commands
            __fish_complete_command
    end
    string join -- \n $answer
end

complete -c pylock -f -a '(__pylock_answer)'
