/*
 * Tells the service manager how the VM is: sd_notify(3)'s protocol, which is
 * one datagram of KEY=VALUE lines to the Unix socket that $NOTIFY_SOCKET names.
 */
#ifndef CLI_NOTIFY_H
#define CLI_NOTIFY_H

/*
 * Returns a connected socket, which the caller closes, or -1 when nobody wants
 * to know, or, which a warning tells, when nobody can be reached. The variable is removed: it is not for what we start.
 */
int notify_open(void);

/*
 * Sends it, e.g. "READY=1"; *fd of -1 is fine. The VM goes on when it does not
 * arrive: a warning tells, *fd is closed and becomes -1, so there is one.
 */
void notify_send(int *fd, const char *state);

#endif
