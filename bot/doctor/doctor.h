// `keyturn doctor`: checks every credential, permission, scope, URL, clock and certificate without changing
// anything, and says how to mend what it finds. Prints to standard output.
// Thread: the caller's. Failure: is what it is about; see exit_status in finding.h for the numbers.
#pragma once

#include <string>

namespace keyturn::bot::doctor {

// `settings`: the file. Returns the process's exit status.
int examine_and_report(const std::string& settings);

}  // namespace keyturn::bot::doctor
