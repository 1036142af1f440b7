#include "deploy/sandbox/slack_people.h"

namespace keyturn::sandbox {

People::People() : groups_{{kSuperadminGroup, {"U0ADMIN", "U0GRACE"}}} {
  const std::vector<Person> people = {
      {.id = "U0ADMIN", .name = "ada"},
      {.id = "U0GRACE", .name = "grace"},
      {.id = "U0MEMBER", .name = "mel"},
      {.id = "U0GUEST", .name = "guy", .restricted = true},
      {.id = "U0GONE", .name = "gus", .deleted = true},
      {.id = "U0STRANGER", .name = "sam", .team = "T0OTHER", .stranger = true},
      {.id = kBotUser, .name = "keyturn", .bot = true},
  };
  for (const Person& person : people) people_.emplace(person.id, person);
}

const Person* People::find(const std::string& id) const {
  const auto found = people_.find(id);
  return found == people_.end() ? nullptr : &found->second;
}

Person* People::find(const std::string& id) {
  const auto found = people_.find(id);
  return found == people_.end() ? nullptr : &found->second;
}

std::optional<std::vector<std::string>> People::group(const std::string& id) const {
  const auto found = groups_.find(id);
  if (found == groups_.end()) return std::nullopt;
  return found->second;
}

nlohmann::json user_object(const Person& person) {
  return {{"id", person.id},
          {"team_id", person.team},
          {"name", person.name},
          {"real_name", person.name},
          {"deleted", person.deleted},
          {"is_bot", person.bot},
          {"is_restricted", person.restricted},
          {"is_ultra_restricted", false},
          {"is_stranger", person.stranger},
          {"tz", "Europe/London"},
          {"profile", {{"real_name", person.name}, {"display_name", person.name}, {"team", person.team}}}};
}

}  // namespace keyturn::sandbox
