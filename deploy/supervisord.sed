# From the supervisord.conf of a checkout to that of a VM: the paths, and the user that root becomes.
# deploy/install.sh fills in what is between two @.
1,/^\[supervisord\]/ {
    /^;/d
    /^$/d
}
s|^\[supervisord\]|; Written by make install from supervisord.conf; the next one writes it again.\n&\nuser = toast\nenvironment = TOAST_CONFIG_DIR="@CONFDIR@"|
s|%(here)s/\.venv/bin/|@PREFIX@/current/bin/|
s|%(here)s/\.run/log/|@LOGDIR@/|
s|%(here)s/\.run/|@STATEDIR@/|
s|= %(here)s$|= @STATEDIR@|
