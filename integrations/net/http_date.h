// The date of an HTTP message (RFC 9110, 5.6.7): "Sun, 06 Nov 1994 08:49:37 GMT". Whole seconds, always UTC.
#pragma once

#include <optional>
#include <string>

#include "storage/clock.h"

namespace keyturn::net {

std::string to_http_date(storage::TimePoint time);

// Nothing for any other text, the two obsolete forms of the RFC included: no vendor of ours sends them.
std::optional<storage::TimePoint> from_http_date(const std::string& text);

}  // namespace keyturn::net
