printf '%s\n' "$LB_PARAM_text"
printf 'succeeded %s' "$LB_PARAM_text" >"$LB_RESULT"
