#compdef vmm-balloon
# zsh completion for vmm-balloon. Commands, options and properties come from the
# program itself: `vmm-balloon help`, `vmm-balloon devices --tables` and
# `vmm-balloon list --names`.

_vmm_balloon_commands() {
	local -a commands
	commands=(${(f)"$(vmm-balloon help 2>/dev/null | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\)  *.\{22\} /\1:/p')"} 'help:say more of a command' 'version:print the version')
	_describe -t commands command commands
}

_vmm_balloon_drivers() {
	local -a drivers
	drivers=(${(f)"$(vmm-balloon devices 2>/dev/null | sed -n '/^Drivers:/,/^[^ D]/s/^  \([^ ]*\)  *\(.*\)/\1:\2/p')"})
	_describe -t drivers driver drivers "$@"
}

_vmm_balloon_vms() {
	local -a vms
	vms=(${(f)"$(vmm-balloon list --names 2>/dev/null)"})
	_describe -t vms 'running VM' vms
}

# The config string of $1, an option or a driver.
_vmm_balloon_string() {
	local section option name type default range example help
	local -a names types
	while IFS=$'\t' read -r section option name type default range example help; do
		[[ $section == $1 || $option == $1 ]] || continue
		names+=("$name:$help")
		types+=("$name=$type")
		# The first may be a value alone: --serial tty
		[[ $1 == --serial && $name == mode && $PREFIX != *[,=]* ]] && compadd -- ${(s:|:)type}
	done < <(vmm-balloon devices --tables 2>/dev/null | sed 's/\t\t/\t-\t/g')
	compset -P '*,'
	if [[ $PREFIX == *=* ]]; then
		name=${PREFIX%%\=*}
		compset -P '*='
		type=${${(M)types:#$name=*}#*=}
		if [[ $type == path ]]; then
			_files
		elif [[ $type == *'|'* ]]; then
			compadd -- ${(s:|:)type}
		else
			_message "$type"
		fi
	else
		_describe -t properties property names -S = -q
	fi
}

_vmm_balloon_device() {
	local driver
	if [[ $PREFIX == *,* ]]; then
		driver=${PREFIX%%,*}
		compset -P 1 '*,'
		_vmm_balloon_string $driver
	else
		_vmm_balloon_drivers -S , -q
	fi
}

# Options of the command with how to complete their values.
_vmm_balloon_options() {
	local line name rest formats='yaml json'
	local -a specs
	[[ $1 == metrics ]] && formats='openmetrics prometheus'
	for line in ${(f)"$(vmm-balloon help $1 2>/dev/null)"}; do
		[[ $line =~ '^  (-[a-zA-Z], )?(--[a-z-]+)(\[=[^]]*\])?( [^ ]+)?( +(.*))?$' ]] || continue
		name=$match[2] rest=${${match[6]:-$name}//[\[\]:]/ }
		case $name in
		--kernel | --initramfs | --qmp) specs+=("${name}[$rest]:file:_files") ;;
		--format) specs+=("${name}[$rest]:format:($formats)") ;;
		--device) specs+=("*${name}[$rest]:device:_vmm_balloon_device") ;;
		--user) specs+=("${name}[$rest]:user:_users") ;;
		--group) specs+=("${name}[$rest]:group:_groups") ;;
		--name | --cmdline) specs+=("${name}[$rest]:text:") ;;
		--help | --schema | --verbose | --json) specs+=("${name}[$rest]") ;;
		*)
			if [[ -n $match[4] ]]; then
				specs+=("*${name}[$rest]:properties:{_vmm_balloon_string $name}")
			elif [[ -n $match[3] ]]; then
				specs+=("${name}=-[$rest]::seconds:")
			else
				specs+=("${name}[$rest]")
			fi
			;;
		esac
	done
	reply=($specs)
}

_vmm_balloon() {
	local curcontext=$curcontext state line
	local -a reply
	_arguments -C '(-)--help[print help]' '(-)--version[print the version]' '1:command:_vmm_balloon_commands' '*::argument:->argument' && return
	[[ $state == argument ]] || return 1
	_vmm_balloon_options $words[1]
	case $words[1] in
	run | config) _arguments $reply '1:spec:_files -g "*.(yaml|yml|json)"' ;;
	devices) _arguments $reply '1:driver:_vmm_balloon_drivers' ;;
	help) _arguments '1:command:_vmm_balloon_commands' ;;
	doctor) _arguments $reply ;;
	list | top | metrics) _arguments $reply '*:running VM:_vmm_balloon_vms' ;;
	*) _arguments $reply '1:running VM:_vmm_balloon_vms' '*:argument:' ;;
	esac
}

_vmm_balloon "$@"
