// The form's desk over the rotations: finds the rotation behind a token, judges a paste, seals the key.
// Thread: io only.
#pragma once

#include <functional>
#include <string>

#include "commands/form_desk.h"
#include "commands/rotation/runner.h"
#include "commands/rotation/vault.h"

namespace keyturn::commands {

// Why a well-formed restricted key is not the one this rotation waits for, or nothing. Pure.
std::optional<FormRefused> unwanted(const rotation::State& state, const std::string& fingerprint);

// Why the times that the operator gave can't be, or nothing. Pure.
std::optional<FormRefused> impossible(const rotation::State& state, const FormSubmission& form,
                                      storage::TimePoint now);

class RotationForm final : public FormDesk {
 public:
  // References must outlive this.
  RotationForm(rotation::Runner& runner, const rotation::Vault& vault, const storage::Clock& clock);
  boost::asio::awaitable<std::variant<FormInfo, FormClosed>> look(std::string token,
                                                                  std::string peer) override;
  boost::asio::awaitable<std::variant<FormReceived, FormRefused, FormClosed>> submit(
      FormSubmission form) override;

 private:
  std::shared_ptr<const rotation::State> behind(const std::string& token_hash) const;
  boost::asio::awaitable<std::variant<FormReceived, FormRefused, FormClosed>> refuse(
      std::shared_ptr<const rotation::State> state, std::string token_hash, FormRefused refused);

  rotation::Runner& runner_;
  const rotation::Vault& vault_;
  const storage::Clock& clock_;
};

}  // namespace keyturn::commands
