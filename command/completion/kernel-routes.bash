# Completion of kernel-routes and kernel_routes.ext for bash, from 3.2 on. It needs nothing
# else, and takes the words from the package bash-completion where that is loaded. Nothing
# that is typed is evaluated: half-written SQL may hold whatever a shell would run.

# _kernel_routes_words sets words, the command line up to the cursor, and cur, the last of
# them. bash cuts words at the characters of COMP_WORDBREAKS, = and : among them, which flags
# and files may have: words with nothing but such a character between are one.
_kernel_routes_words() {
    local cword prev rest part space glued=no i
    if declare -F _get_comp_words_by_ref >/dev/null && [[ -n ${COMP_LINE-} ]]; then
        _get_comp_words_by_ref -n =:@ cur prev words cword
        words=("${words[@]:0:cword+1}")
        return
    fi
    rest=${COMP_LINE-}
    for ((i = 0; i <= COMP_CWORD; i++)); do
        part=${COMP_WORDS[i]-}
        space=${rest%%[! 	]*}
        rest=${rest#"$space"}
        rest=${rest#"$part"}
        if [[ $i -gt 0 && -z $space && -n $part && (-z ${part//[=:@]/} || $glued == yes) ]]; then
            words[${#words[@]}-1]+=$part
        else
            words[${#words[@]}]=$part
        fi
        glued=no
        [[ -n $part && -z ${part//[=:@]/} ]] && glued=yes
    done
    cur=${words[${#words[@]}-1]}
    # bash has the whole of the word that the cursor is in.
    i=$((${#COMP_LINE} - ${#rest} - ${COMP_POINT:-${#COMP_LINE}}))
    ((i > 0 && i <= ${#part})) && cur=${cur:0:${#cur}-i}
    return 0
}

# _kernel_routes_option tells bash how to insert a completion, as far as this bash knows that.
_kernel_routes_option() {
    [[ $(type -t compopt) == builtin ]] && compopt -o "$1" 2>/dev/null
}

# _kernel_routes_quoted quotes word, which may be a name that anybody has given, for the shell that
# reads the line, and fails where it might be read as more than a name. $1 has the quotes that are
# typed. A backslash does not protect all characters everywhere: `...` takes it away before the
# command is read, and within quotes it stays before !, as before most others. Words with such
# characters are left out, and where a quote is typed all that need any quoting.
_kernel_routes_quoted() {
    local plain=$word special='$`\!"'\'
    [[ $plain == *["$special"]* ]] && return 1
    printf -v word %q "$plain"
    [[ $word != \$* && (-z $1 || $word == "$plain") ]] # $'...' has characters that control terminals
}

# _kernel_routes_files makes files of what is typed the completions. $1 is typed, $2 is what comes
# before it in the word, $3 what bash keeps of that, and $4 the quotes that are typed.
_kernel_routes_files() {
    local file word home quotes=no
    if [[ $1 =~ ^\$\{?[A-Za-z_][A-Za-z0-9_]*\}?/ ]]; then
        # bash completes files behind a variable by itself, and runs nothing for that.
        _kernel_routes_option default
        return
    fi
    _kernel_routes_option filenames && quotes=yes
    while IFS= read -r file; do
        [[ -n $file ]] || continue
        file=$2$file
        word=${file#"$3"}
        if [[ $quotes == yes ]]; then
            # bash quotes them, but for these where it inserts what several have in common.
            [[ $word == *[\$\`]* ]] && continue
        else
            home= # ~ or ~somebody, which stays what it is
            [[ $1 == '~'*/* && $word == "${1%%/*}"/* ]] && home=${1%%/*}/
            word=${word#"$home"}
            [[ -z $word ]] || _kernel_routes_quoted "$4" || continue
            word=$home$word
        fi
        COMPREPLY[${#COMPREPLY[@]}]=$word
    done <<<"$(compgen -f -- "$1")"
}

# _kernel_routes_list makes lines of a word, a tab and a description the completions. $1 is what
# comes before the word, $2 what bash keeps of that, $3 the quotes that are typed.
_kernel_routes_list() {
    local line word before='' common longest=0 i tab=$'\t' described=()
    for line in "${lines[@]}"; do
        word=$1${line%%"$tab"*}
        [[ $word == "$cur"* ]] || continue
        [[ -n $before && -z ${before#"$word"} ]] && continue # a name of two tables
        before=$word
        word=${word#"$2"}
        [[ -z $word ]] || _kernel_routes_quoted "$3" || continue
        COMPREPLY[${#COMPREPLY[@]}]=$word
        [[ $line == *"$tab"* ]] || line=$line$tab
        line=${line#*"$tab"}
        described[${#described[@]}]=${line//\`/}
        ((${#word} > longest)) && longest=${#word}
    done
    ((${#COMPREPLY[@]} > 1)) || return
    common=${COMPREPLY[0]}
    for word in "${COMPREPLY[@]}"; do
        while [[ -n $common && $word == "${word#"$common"}" ]]; do
            common=${common%?}
        done
    done
    _kernel_routes_describe
    # What is inserted is what all have in common. A backslash at its end would quote what is typed
    # next: one more word has all before it. Nothing is inserted where they are but listed (63), and
    # where they are offered in turn (37), each as a whole.
    [[ $common == *\\ && ${COMP_TYPE-} != 63 && ${COMP_TYPE-} != 37 ]] || return
    COMPREPLY[${#COMPREPLY[@]}]=${common%\\}
}

# _kernel_routes_describe writes descriptions behind the completions where several are listed (TAB
# TAB). What is inserted then is what all have in common, of which the descriptions are no part as
# long as the words are whole.
_kernel_routes_describe() {
    case ${COMP_TYPE-} in 33 | 63 | 64) ;; *) return ;; esac
    ((longest + 8 < ${COLUMNS:-80})) || return
    for ((i = 0; i < ${#COMPREPLY[@]}; i++)); do
        [[ -n ${described[i]} ]] || continue
        line=$(printf '%-*s  (%s)' "$longest" "${COMPREPLY[i]}" "${described[i]}")
        ((${#line} > ${COLUMNS:-80})) && line=${line:0:${COLUMNS:-80}-4}...
        COMPREPLY[i]=$line
    done
}

# _kernel_routes_program sets program to what is asked: the command that is typed, and for an
# alias what can be found.
_kernel_routes_program() {
    local name
    program=${words[0]//[\"\'\\]/}
    case $program in
    '~/'*) program=$HOME/${program#'~/'} ;;
    esac
    case ${program##*/} in
    kernel-routes | kernel_routes.ext)
        type -P -- "$program" >/dev/null && return
        ;;
    esac
    for name in kernel-routes kernel_routes.ext /usr/lib/osquery/extensions/kernel_routes.ext; do
        program=$name
        type -P -- "$name" >/dev/null && return
    done
    return 1
}

_kernel_routes_reply() {
    local IFS=$' \t\n'
    local cur program words=() lines=() line directive flag= value kept quote word last
    COMPREPLY=()
    _kernel_routes_words
    last=${COMP_WORDS[COMP_CWORD]-}
    [[ -n ${last//[=:@]/} ]] || last=
    word=${2-$last} # which is what bash replaces
    quote=${cur//[!\"\']/}
    cur=${cur//[\"\'\\]/}
    word=${word//[\"\'\\]/}
    kept=${cur%"$word"}
    value=$cur
    if [[ $cur == --*=* ]]; then
        flag=${cur%%=*}=
        value=${cur#*=}
    fi
    case ${3-} in
    '>' | '<' | '>>' | '>|' | '<>' | '&>' | '>&')
        _kernel_routes_files "$value" "$flag" "$kept" "$quote"
        return
        ;;
    esac
    _kernel_routes_program || return
    while IFS= read -r line; do
        lines[${#lines[@]}]=$line
    done <<<"$(command "$program" __complete "${words[@]:1:${#words[@]}-2}" "$cur" 2>/dev/null </dev/null)"
    directive=${lines[${#lines[@]}-1]} # the last line is : and a number
    [[ $directive =~ ^:[0-9]+$ ]] || return
    directive=${directive#:}
    unset "lines[${#lines[@]}-1]"
    ((directive & 1)) && return # it failed
    ((directive & 2)) && _kernel_routes_option nospace
    if ((${#lines[@]} > 0)); then
        _kernel_routes_list "$flag" "$kept" "$quote"
    elif (((directive & 4) == 0)); then
        _kernel_routes_files "$value" "$flag" "$kept" "$quote"
    fi
    return 0
}

# _kernel_routes is what bash calls. What fails on the way ends no shell that ends when something fails (set -e).
_kernel_routes() {
    _kernel_routes_reply "$@" || return 0
}

complete -F _kernel_routes kernel-routes kernel_routes.ext
