"""Which errors a call can fail with, where it was made from."""

from errno import (
    EACCES,
    EAGAIN,
    EBUSY,
    ECONNABORTED,
    ECONNREFUSED,
    ECONNRESET,
    EFAULT,
    EINTR,
    EINVAL,
    EIO,
    EMFILE,
    ENFILE,
    ENODEV,
    ENOENT,
    ENOMEM,
    ENOSPC,
    ENOSYS,
    ENOTTY,
    EPERM,
    EPIPE,
    EROFS,
)

from table import call_name

# Each row of calls.h has one here.
BY_CALL = {
    "free": [],
    "malloc": [ENOMEM],
    "calloc": [ENOMEM],
    "realloc": [ENOMEM],
    "mmap": [ENOMEM],
    "munmap": [ENOMEM],
    "open": [EMFILE, EACCES, EINTR, ENOENT],
    "open_2": [EMFILE, EACCES, EINTR, ENOENT],
    "openat": [EMFILE, EACCES, ENOSPC],
    "fopen": [EMFILE, EACCES, ENOENT],
    "fdopendir": [ENOMEM],
    "open_memstream": [ENOMEM],
    "memfd_create": [EMFILE, ENOMEM],
    "eventfd": [EMFILE, ENFILE],
    "timerfd_create": [EMFILE, ENOMEM],
    "signalfd": [EMFILE, ENOMEM],
    "epoll_create1": [EMFILE, ENOMEM],
    "socket": [EMFILE, ENOMEM],
    "accept4": [EMFILE, EINTR, ECONNABORTED, ENOMEM],
    "pipe2": [EMFILE],
    "fork": [EAGAIN, ENOMEM],
    "pthread_create": [EAGAIN],
    "cxa_atexit": [ENOMEM],
    "ioctl": [ENOMEM, EINVAL, EFAULT],
    "ioctl KVM_CREATE_VM": [ENOMEM, EBUSY, EINTR, EMFILE, ENODEV],
    "ioctl KVM_CREATE_VCPU": [ENOMEM, EMFILE],
    "ioctl KVM_RUN": [EINTR, EAGAIN, EFAULT, ENOMEM],
    "ioctl TCGETS": [ENOTTY],
    "syscall": [ENOSYS, EPERM, ENOMEM],
    "madvise": [EAGAIN, ENOMEM, EINVAL],
    "epoll_ctl": [ENOMEM, ENOSPC],
    "epoll_wait": [EINTR],
    "fallocate": [ENOSPC, EINTR, EPERM],
    "ftruncate": [EINTR, EIO],
    "mincore": [EAGAIN, ENOMEM],
    "bind": [EACCES, ENOMEM, EROFS],
    "listen": [ENOMEM],
    "connect": [ECONNREFUSED, EAGAIN, ENOENT],
    "getsockopt": [ENOMEM],
    "setsockopt": [ENOMEM],
    "send": [EPIPE, ECONNRESET, EAGAIN, EINTR, ENOMEM],
    "recv": [ECONNRESET, EAGAIN, EINTR, ENOMEM],
    "read": [EIO, EINTR, EAGAIN],
    "read_chk": [EIO, EINTR],
    "pread": [EIO, EINTR],
    "write": [EIO, EPIPE, EINTR, EAGAIN, ENOSPC],
    "pwrite": [ENOSPC, EIO],
    "fputc": [ENOSPC],
    "putc": [ENOSPC],
    "fputs": [ENOSPC, EIO],
    "puts": [ENOSPC],
    "fwrite": [ENOSPC, EIO],
    "fgets": [EIO],
    "fflush": [ENOSPC, EINTR],
    "fclose": [ENOSPC, EIO],
    "close": [EINTR, EIO],
    "execv": [ENOENT, EACCES, ENOMEM],
    "lseek": [EINVAL],
    "fstat": [ENOMEM],
    "stat": [EACCES, ENOENT, ENOMEM],
    "lstat": [EACCES, ENOMEM],
    "fstatat": [EACCES, ENOMEM],
    "access": [EACCES],
    "mkdir": [EACCES, ENOSPC, EROFS],
    "fchmod": [EPERM],
    "unlink": [EACCES, EROFS],
    "unlinkat": [EACCES, EROFS],
    "symlinkat": [ENOSPC, EACCES],
    "getcwd": [ENOENT],
    "realpath": [EACCES, ENOENT, ENOMEM],
    "readdir": [EIO],
    "poll": [EINTR, ENOMEM],
    "nanosleep": [EINTR],
    "tcgetattr": [EIO],
    "tcsetattr": [EIO, EINTR],
    "prctl": [EPERM],
    "dup2": [EBUSY, EINTR],
    "dup3": [EBUSY, EINTR],
    "fcntl": [EINVAL],
    "waitpid": [EINTR],
    "kill": [EPERM],
    "getrlimit": [EPERM],
    "unshare": [EPERM, ENOMEM],
    "mount": [EPERM, ENOMEM],
    "setgroups": [EPERM],
    "setresgid": [EPERM],
    "setresuid": [EPERM, EAGAIN],
}

# A descriptor is closed and a stream is gone, whatever is said of it.
DONE_NONETHELESS = ["close", "fclose"]

# By the call, or by the call and the function that makes it. An empty list: it cannot fail there.
EXCEPTIONS = {
    ("fcntl", "keep_standard_fds"): [],  # but for a descriptor that is closed
    ("write", "write_line"): [EINTR],  # standard error; what cannot be said is not
    ("poll", "write_line"): [],
    ("read", "run_work"): [EAGAIN],  # of an eventfd, a timerfd, a signalfd that never block
    ("read", "run_due_timers"): [EAGAIN],
    ("read", "read_signal"): [EAGAIN],
    ("write", "wake"): [],  # an eventfd that is nowhere near its limit
}
# libseccomp 2.5.4 does not see that all of its own allocations succeed: it crashes, or makes a filter that kills the program.
TRUSTED_MODULES = ["libseccomp.so"]


def errors_of(place, function):
    if any(place.module.startswith(module) for module in TRUSTED_MODULES):
        return []
    name = call_name(place)
    for key in ((name, function), (place.call, function), name):
        if key in EXCEPTIONS:
            return EXCEPTIONS[key]
    return BY_CALL[name] if name in BY_CALL else BY_CALL[place.call.removeprefix("__")]
