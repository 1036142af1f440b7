// How times, durations and optional values stand in the journal's JSON: ISO 8601 in UTC, whole milliseconds,
// null.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>

#include "storage/clock.h"

namespace nlohmann {

template <>
struct adl_serializer<keyturn::storage::TimePoint> {
  static void to_json(json& out, const keyturn::storage::TimePoint& time) {
    out = keyturn::storage::to_iso8601(time);
  }
  static void from_json(const json& in, keyturn::storage::TimePoint& time) {
    const auto read = keyturn::storage::from_iso8601(in.get<std::string>());
    if (!read) throw std::runtime_error("not a time: " + in.dump());
    time = *read;
  }
};

template <>
struct adl_serializer<keyturn::storage::Duration> {
  static void to_json(json& out, const keyturn::storage::Duration& duration) { out = duration.count(); }
  static void from_json(const json& in, keyturn::storage::Duration& duration) {
    duration = keyturn::storage::Duration(in.get<std::int64_t>());
  }
};

template <typename T>
struct adl_serializer<std::optional<T>> {
  static void to_json(json& out, const std::optional<T>& value) {
    if (value) {
      out = *value;
    } else {
      out = nullptr;
    }
  }
  static void from_json(const json& in, std::optional<T>& value) {
    value = in.is_null() ? std::nullopt : std::optional<T>(in.get<T>());
  }
};

}  // namespace nlohmann
