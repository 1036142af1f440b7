// Identifiers that nobody can guess and that sort by time where a person reads them.
#pragma once

#include <string>

#include "storage/clock.h"
#include "storage/secret.h"

namespace keyturn::storage {

// "rot_20261123T191605_k3v9q2xd": readable in a log, unique, and no secret.
std::string new_rotation_id(TimePoint now);

// 256 random bits in base64url without padding (43 characters): a bearer capability, so a Secret.
Secret new_token();

// A random UUID (version 4), for vendors that want a request id.
std::string new_uuid();

}  // namespace keyturn::storage
