# bash completion for vmm-balloon. Commands, options and properties come from
# the program itself: `vmm-balloon help`, `vmm-balloon devices --tables` and
# `vmm-balloon list --names`.
# shellcheck shell=bash disable=SC2207 # words of the program hold no blanks

_vmm_balloon_commands() {
	vmm-balloon help 2>/dev/null | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p'
}

_vmm_balloon_options() {
	vmm-balloon help "$1" 2>/dev/null | sed -n 's/^  \(-[a-zA-Z], \)\{0,1\}\(--[a-z-]*\).*/\2/p'
}

# Whether the option $2 of the command $1 has its value in the next word: "--name NAME  help".
_vmm_balloon_wants_value() {
	case $2 in
	--*=*) return 1 ;;
	--*) vmm-balloon help "$1" 2>/dev/null | grep -q "^  \(-[a-zA-Z], \)\{0,1\}$2 [^ ]" ;;
	*) return 1 ;;
	esac
}

# Prints "property<TAB>type" for an option (--memory) or a driver (virtio-balloon).
_vmm_balloon_properties() {
	vmm-balloon devices --tables 2>/dev/null | awk -F '\t' -v of="$1" 'of != "" && ($1 == of || $2 == of) { print $3 "\t" $4 }'
}

_vmm_balloon_drivers() {
	vmm-balloon devices 2>/dev/null | sed -n '/^Drivers:/,/^[^ D]/s/^  \([^ ]*\) .*/\1/p'
}

_vmm_balloon_vms() {
	vmm-balloon list --names 2>/dev/null
}

# The values that a type has: "on|off", "tty|file|null|off".
_vmm_balloon_values() {
	case $1 in *'|'*) printf '%s\n' "${1//|/$'\n'}" ;; esac
}

# Completes the config string $2 of $1, an option or a driver; every reply begins with $3, what stands before the string.
_vmm_balloon_string() {
	local done_part='' last=$2 name type key
	case $2 in *,*) done_part=${2%,*}, last=${2##*,} ;; esac
	case $last in
	*=*)
		key=${last%%=*}
		type=$(_vmm_balloon_properties "$1" | awk -F '\t' -v key="$key" '$1 == key { print $2 }')
		if [ "$type" = path ]; then
			COMPREPLY=($(compgen -f -P "$3$done_part$key=" -- "${last#*=}"))
		else
			COMPREPLY=($(compgen -W "$(_vmm_balloon_values "$type")" -P "$3$done_part$key=" -- "${last#*=}"))
		fi
		;;
	*)
		while IFS=$'\t' read -r name type; do
			case ",$done_part" in *",$name="*) continue ;; esac
			[[ $name == "$last"* ]] && COMPREPLY+=("$3$done_part$name=")
			# The first may be a value alone: --serial tty
			[ "$1" = --serial ] && [ "$name" = mode ] && [ -z "$done_part" ] &&
				COMPREPLY+=($(compgen -W "$(_vmm_balloon_values "$type")" -P "$3" -- "$last"))
		done < <(_vmm_balloon_properties "$1")
		compopt -o nospace 2>/dev/null
		;;
	esac
}

# Completes the value $2 of the option $1 of $command.
_vmm_balloon_value() {
	local driver
	case $1 in
	--kernel | --initramfs | --qmp) COMPREPLY=($(compgen -f -P "$3" -- "$2")) ;;
	--user) COMPREPLY=($(compgen -u -P "$3" -- "$2")) ;;
	--group) COMPREPLY=($(compgen -g -P "$3" -- "$2")) ;;
	--format)
		case $command in
		metrics) COMPREPLY=($(compgen -W 'openmetrics prometheus' -P "$3" -- "$2")) ;;
		*) COMPREPLY=($(compgen -W 'yaml json' -P "$3" -- "$2")) ;;
		esac
		;;
	--device)
		case $2 in
		*,*)
			driver=${2%%,*}
			_vmm_balloon_string "$driver" "${2#*,}" "$3$driver,"
			;;
		*) COMPREPLY=($(compgen -W "$(_vmm_balloon_drivers)" -P "$3" -- "$2")) ;;
		esac
		;;
	*) _vmm_balloon_string "$1" "$2" "$3" ;;
	esac
}

_vmm_balloon_argument() {
	case $1 in
	run | config)
		compopt -o filenames 2>/dev/null
		COMPREPLY=($(compgen -f -X '!*.@(yaml|yml|json)' -- "$2") $(compgen -d -- "$2"))
		;;
	devices) COMPREPLY=($(compgen -W "$(_vmm_balloon_drivers)" -- "$2")) ;;
	help) COMPREPLY=($(compgen -W "$(_vmm_balloon_commands)" -- "$2")) ;;
	doctor | version) ;;
	*) COMPREPLY=($(compgen -W "$(_vmm_balloon_vms)" -- "$2")) ;;
	esac
}

_vmm_balloon() {
	# Words as the program gets them: bash's own are cut at '=' too.
	local line=${COMP_LINE:0:COMP_POINT} word previous command words cut i
	word=${line##*[[:space:]]}
	read -ra words <<<"${line%"$word"}"
	previous=${words[${#words[@]} - 1]}
	command=${words[1]-}
	COMPREPLY=()
	if [ ${#words[@]} -le 1 ]; then
		COMPREPLY=($(compgen -W "$(_vmm_balloon_commands) help version --help --version" -- "$word"))
		return
	fi
	shopt -q extglob || local restore='shopt -u extglob'
	shopt -s extglob
	case $word in
	--*=*) _vmm_balloon_value "${word%%=*}" "${word#*=}" "${word%%=*}=" ;;
	-*) COMPREPLY=($(compgen -W "$(_vmm_balloon_options "$command")" -- "$word")) ;;
	*)
		if _vmm_balloon_wants_value "$command" "$previous"; then
			_vmm_balloon_value "$previous" "$word" ''
		else
			_vmm_balloon_argument "$command" "$word"
		fi
		;;
	esac
	${restore-}
	# bash replaces only what follows the last '=' of the word.
	case $COMP_WORDBREAKS in
	*=*)
		cut=${word%"${word##*=}"}
		for i in "${!COMPREPLY[@]}"; do COMPREPLY[i]=${COMPREPLY[i]#"$cut"}; done
		;;
	esac
}

complete -F _vmm_balloon vmm-balloon
