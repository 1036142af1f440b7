#include "deploy/sandbox/faults.h"

#include <algorithm>
#include <map>
#include <stdexcept>

namespace keyturn::sandbox {
namespace {

const std::map<std::string, FaultKind> kKinds = {
    {"status", FaultKind::status}, {"delay", FaultKind::delay}, {"close", FaultKind::close}};

std::string name_of(FaultKind kind) {
  switch (kind) {
    case FaultKind::status:
      return "status";
    case FaultKind::delay:
      return "delay";
    case FaultKind::close:
      return "close";
  }
  return "";
}

Fault read_fault(FaultKind kind, const nlohmann::json& knob) {
  Fault fault{.kind = kind,
              .path = knob.value("path", ""),
              .method = knob.value("method", ""),
              .times = std::nullopt,
              .status = knob.value("status", 500),
              .html = knob.value("html", false),
              .after = knob.value("after", false),
              .delay = storage::Duration(knob.value("milliseconds", 0))};
  if (knob.contains("times")) fault.times = knob.at("times").get<int>();
  if (fault.status < 200 || fault.status > 599)
    throw std::invalid_argument("status must be between 200 and 599");
  if (fault.delay < storage::Duration(0)) throw std::invalid_argument("milliseconds can't be negative");
  if (fault.times && *fault.times < 1) throw std::invalid_argument("times must be 1 or more");
  return fault;
}

bool matches(const Fault& fault, const std::string& method, const std::string& path) {
  return (fault.method.empty() || fault.method == method) && path.starts_with(fault.path);
}

// Takes one use; true when it was the last.
bool spent(Fault& fault) { return fault.times && --*fault.times == 0; }

void apply(const Fault& fault, Verdict& verdict) {
  switch (fault.kind) {
    case FaultKind::delay:
      verdict.delay += fault.delay;
      break;
    case FaultKind::close:
      (fault.after ? verdict.close_after : verdict.close_before) = true;
      break;
    case FaultKind::status:
      verdict.status = fault.status;
      verdict.html = fault.html;
      break;
  }
}

}  // namespace

bool Faults::add(const nlohmann::json& knob) {
  const auto kind = kKinds.find(knob.value("kind", ""));
  if (kind == kKinds.end()) return false;
  try {
    faults_.push_back(read_fault(kind->second, knob));
  } catch (const nlohmann::json::exception& failure) {
    throw std::invalid_argument(failure.what());
  }
  return true;
}

Verdict Faults::spend(const std::string& method, const std::string& path) {
  Verdict verdict;
  bool answered = false;  // one fault decides the answer; delays only add to it
  for (auto fault = faults_.begin(); fault != faults_.end();) {
    const bool takes_part = matches(*fault, method, path) && (fault->kind == FaultKind::delay || !answered);
    if (!takes_part) {
      ++fault;
      continue;
    }
    apply(*fault, verdict);
    answered = answered || fault->kind != FaultKind::delay;
    fault = spent(*fault) ? faults_.erase(fault) : fault + 1;
  }
  return verdict;
}

nlohmann::json Faults::state() const {
  auto list = nlohmann::json::array();
  for (const Fault& fault : faults_) {
    nlohmann::json row{{"kind", name_of(fault.kind)}, {"path", fault.path}, {"method", fault.method}};
    if (fault.kind == FaultKind::status) row.update({{"status", fault.status}, {"html", fault.html}});
    if (fault.kind == FaultKind::delay) row["milliseconds"] = fault.delay.count();
    if (fault.kind == FaultKind::close) row["after"] = fault.after;
    if (fault.times) row["times"] = *fault.times;
    list.push_back(std::move(row));
  }
  return list;
}

}  // namespace keyturn::sandbox
