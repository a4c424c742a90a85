/* errno.c: the names and texts of the kernel's error codes, the same with every C library.
 *
 * The names are a table, since only one C library tells them. The texts are the C library's in the
 * "C" locale; they are copied once, without the capital that they begin with, and stay. Called by
 * error.c only.
 */
#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "core/core.h"
#include "core/sys.h"

/* All of Linux, one name for each number. */
/* clang-format off */
#define ERRNOS(X)                                                                                  \
    X(EPERM) X(ENOENT) X(ESRCH) X(EINTR) X(EIO) X(ENXIO) X(E2BIG) X(ENOEXEC) X(EBADF) X(ECHILD)    \
    X(EAGAIN) X(ENOMEM) X(EACCES) X(EFAULT) X(ENOTBLK) X(EBUSY) X(EEXIST) X(EXDEV) X(ENODEV)       \
    X(ENOTDIR) X(EISDIR) X(EINVAL) X(ENFILE) X(EMFILE) X(ENOTTY) X(ETXTBSY) X(EFBIG) X(ENOSPC)     \
    X(ESPIPE) X(EROFS) X(EMLINK) X(EPIPE) X(EDOM) X(ERANGE) X(EDEADLK) X(ENAMETOOLONG) X(ENOLCK)   \
    X(ENOSYS) X(ENOTEMPTY) X(ELOOP) X(ENOMSG) X(EIDRM) X(ECHRNG) X(EL2NSYNC) X(EL3HLT) X(EL3RST)   \
    X(ELNRNG) X(EUNATCH) X(ENOCSI) X(EL2HLT) X(EBADE) X(EBADR) X(EXFULL) X(ENOANO) X(EBADRQC)      \
    X(EBADSLT) X(EBFONT) X(ENOSTR) X(ENODATA) X(ETIME) X(ENOSR) X(ENONET) X(ENOPKG) X(EREMOTE)     \
    X(ENOLINK) X(EADV) X(ESRMNT) X(ECOMM) X(EPROTO) X(EMULTIHOP) X(EDOTDOT) X(EBADMSG)             \
    X(EOVERFLOW) X(ENOTUNIQ) X(EBADFD) X(EREMCHG) X(ELIBACC) X(ELIBBAD) X(ELIBSCN) X(ELIBMAX)      \
    X(ELIBEXEC) X(EILSEQ) X(ERESTART) X(ESTRPIPE) X(EUSERS) X(ENOTSOCK) X(EDESTADDRREQ)            \
    X(EMSGSIZE) X(EPROTOTYPE) X(ENOPROTOOPT) X(EPROTONOSUPPORT) X(ESOCKTNOSUPPORT) X(EOPNOTSUPP)   \
    X(EPFNOSUPPORT) X(EAFNOSUPPORT) X(EADDRINUSE) X(EADDRNOTAVAIL) X(ENETDOWN) X(ENETUNREACH)      \
    X(ENETRESET) X(ECONNABORTED) X(ECONNRESET) X(ENOBUFS) X(EISCONN) X(ENOTCONN) X(ESHUTDOWN)      \
    X(ETOOMANYREFS) X(ETIMEDOUT) X(ECONNREFUSED) X(EHOSTDOWN) X(EHOSTUNREACH) X(EALREADY)          \
    X(EINPROGRESS) X(ESTALE) X(EUCLEAN) X(ENOTNAM) X(ENAVAIL) X(EISNAM) X(EREMOTEIO) X(EDQUOT)     \
    X(ENOMEDIUM) X(EMEDIUMTYPE) X(ECANCELED) X(ENOKEY) X(EKEYEXPIRED) X(EKEYREVOKED)               \
    X(EKEYREJECTED) X(EOWNERDEAD) X(ENOTRECOVERABLE) X(ERFKILL) X(EHWPOISON)
/* clang-format on */

static const char *const names[] = {
#define COIR__X(name) [name] = #name,
    ERRNOS(COIR__X)
#undef COIR__X
};

static char texts[COIR_COUNT(names)][64];

const char *coir__errno_name(int code)
{
    return code >= 0 && (size_t)code < COIR_COUNT(names) ? names[code] : NULL;
}

static void copy_texts(void)
{
    locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    for (int i = 0; i < (int)COIR_COUNT(names); i++) {
        if (names[i] == NULL)
            continue;
        char *text = texts[i];
        (void)snprintf(text, sizeof texts[i], "%s",
                       plain != (locale_t)0 ? strerror_l(i, plain) : names[i]);
        /* acronyms keep their capitals */
        if (text[0] >= 'A' && text[0] <= 'Z' && text[1] >= 'a')
            text[0] = (char)(text[0] + ('a' - 'A'));
    }
    if (plain != (locale_t)0)
        freelocale(plain);
}

const char *coir__errno_text(int code)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    if (coir__errno_name(code) == NULL)
        return NULL;
    (void)pthread_once(&once, copy_texts);
    return texts[code];
}
