// Random names for what the emulators make: ids, keys, tokens. Nothing here guards anything real.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace keyturn::sandbox {

inline constexpr std::string_view kAlphanumeric =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

std::string random_text(std::size_t length, std::string_view alphabet = kAlphanumeric);

// "3f0c1d52-8a4e-4f0b-9c6d-2b1a7e5f4c30"
std::string random_uuid();

}  // namespace keyturn::sandbox
