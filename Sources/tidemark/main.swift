import Glibc

exit(runTidemark(Array(CommandLine.arguments.dropFirst())))
