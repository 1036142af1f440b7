// Who is in the sandbox's workspace: superadmins, a member, a guest, somebody who left, a stranger from
// another company, the bot itself, and the user group that says who is a superadmin.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace keyturn::sandbox {

inline constexpr const char* kTeam = "T0RAXX";
inline constexpr const char* kApp = "A0KEYTURN";
inline constexpr const char* kBotUser = "U0KEYTURN";
inline constexpr const char* kBot = "B0KEYTURN";
inline constexpr const char* kOpsChannel = "C0OPS";
inline constexpr const char* kSuperadminGroup = "S0SUPER";

struct Person {
  std::string id;
  std::string name;
  std::string team = kTeam;
  bool deleted = false;
  bool restricted = false;  // a guest
  bool stranger = false;    // from another workspace, seen through a shared channel
  bool bot = false;
};

class People {
 public:
  People();
  const Person* find(const std::string& id) const;
  Person* find(const std::string& id);
  const std::map<std::string, Person>& all() const { return people_; }
  std::optional<std::vector<std::string>> group(const std::string& id) const;
  void set_group(const std::string& id, std::vector<std::string> users) { groups_[id] = std::move(users); }

 private:
  std::map<std::string, Person> people_;
  std::map<std::string, std::vector<std::string>> groups_;
};

// As users.info shows a person (docs.slack.dev/reference/objects/user-object).
nlohmann::json user_object(const Person& person);

}  // namespace keyturn::sandbox
