# history.sh: prints which builds were in use before, from the file that apply.sh keeps in the root. Sent where a look at a host asks
# for it.
# shellcheck shell=sh disable=SC2154,SC2034,SC2317,SC2329 # the other parts set, use and call these

tell_history() {
  p=$root/.standalone-python.history
  open=$root_open
  only=
  if ! exists "$p"; then put history_state=absent
  elif [ -h "$p" ] || [ ! -f "$p" ] || [ ! -r "$p" ]; then put history_state=unreadable
  elif [ -z "$python" ] && check "$p" && [ -n "$open" ]; then put history_state=untrusted
  else
    put history_state=present
    while IFS= read -r line || [ -n "$line" ]; do put "history=$line"; done <"$p"
  fi
}
