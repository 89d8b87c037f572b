#compdef kernel-routes kernel_routes.ext

# Completion of kernel-routes and kernel_routes.ext for zsh: a file of $fpath, or to be sourced
# after compinit. Nothing that is typed is evaluated: half-written SQL may hold whatever a shell
# would run.

_kernel_routes_complete() {
    emulate -L zsh
    setopt extended_glob
    local -a lines typed described
    local program line word directive tab=$'\t'
    # (Q) takes quotes away, and runs nothing.
    program=${(Q)words[1]}
    [[ $program == '~/'* ]] && program=$HOME/${program#'~/'}
    if [[ ${program:t} != (kernel-routes|kernel_routes.ext) ]] || ! whence -p -- $program >/dev/null; then
        # An alias, say.
        for program in kernel-routes kernel_routes.ext /usr/lib/osquery/extensions/kernel_routes.ext ''; do
            [[ -n $program ]] && whence -p -- $program >/dev/null && break
        done
        [[ -n $program ]] || return 1
    fi
    typed=("${(@Q)words[2,CURRENT-1]}")
    lines=("${(@f)$(command $program __complete "${typed[@]}" "${(Q)PREFIX}" 2>/dev/null </dev/null)}")
    directive=${lines[-1]} # the last line is : and a number
    [[ $directive == :<-> ]] || return 1
    directive=${directive#:}
    lines=("${(@)lines[1,-2]}")
    ((directive & 1)) && return 1 # it failed
    # What comes is the value of a flag, without the flag.
    [[ $PREFIX == --*=* ]] && compset -P '--[^=]#='
    if (($#lines == 0)); then
        ((directive & 4)) && return 1
        _files
        return
    fi
    for line in "${lines[@]}"; do
        word=${line%%$tab*}
        word=${word//\\/\\\\} # _describe takes them away
        word=${word//:/\\:}
        [[ $line == *$tab* ]] && word+=":${${line#*$tab}//\`/}"
        described+=("$word")
    done
    if ((directive & 2)); then
        _describe -V 'kernel-routes' described -S ''
    else
        _describe 'kernel-routes' described
    fi
}

# The completion system, which alone sets compstate, runs this file for its completions. The
# braces are for ksh_arrays, which somebody may have set.
if ((${+compstate})); then
    _kernel_routes_complete "$@"
elif ((${+functions[compdef]})); then
    compdef _kernel_routes_complete kernel-routes kernel_routes.ext
else
    print -u2 'kernel-routes: zsh completes nothing before: autoload -Uz compinit && compinit'
fi
