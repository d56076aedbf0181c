/* How the program names itself: --version, doctor, bug reports. */
#ifndef CLI_VERSION_H
#define CLI_VERSION_H

#include <config.h> /* of the build, not cli/config.h beside this file */

#define VERSION_TEXT "vmm-balloon " VMM_BALLOON_VERSION

#endif
