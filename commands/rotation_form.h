// The form's desk over the rotations: finds the rotation behind a token, opens what the page sealed, judges
// the paste, seals the key for the journal. Every opening, refusal and submission of a rotation that goes on
// is journaled. Thread: io only.
#pragma once

#include <functional>
#include <string>

#include "commands/form_desk.h"
#include "commands/form_submission.h"
#include "commands/rotation/runner.h"
#include "commands/rotation/vault.h"

namespace keyturn::commands {

// Why a well-formed restricted key is not the one this rotation waits for, or nothing. Pure.
std::optional<FormRefused> unwanted(const rotation::State& state, const std::string& fingerprint);

// Why the times that the operator gave can't be, or nothing. Pure.
std::optional<FormRefused> impossible(const rotation::State& state, const Handover& handover,
                                      storage::TimePoint now);

class RotationForm final : public FormDesk {
 public:
  // References must outlive this.
  RotationForm(rotation::Runner& runner, const rotation::Vault& vault, const storage::Clock& clock,
               FormProof proof);
  boost::asio::awaitable<FormLook> look(std::string token, FormVisitor visitor) override;
  boost::asio::awaitable<FormAnswer> submit(SealedSubmission submission) override;
  std::optional<FormProgress> progress(std::string_view token) const override;

 private:
  using StatePointer = std::shared_ptr<const rotation::State>;
  // What the way of one submission needs at each step.
  struct Case {
    StatePointer state;
    std::string token_hash, sealed_hash, peer;
  };
  using Opened = std::variant<Handover, FormRefused, FormClosed>;

  StatePointer behind(const std::string& token_hash) const;
  std::optional<SignInNeeded> stranger(const rotation::State& state, const FormVisitor& visitor) const;
  boost::asio::awaitable<void> turn_away(StatePointer state, std::string peer, std::string_view why);
  boost::asio::awaitable<Opened> open(Case way, SealedSubmission submission);
  boost::asio::awaitable<FormAnswer> take(Case way, Handover handover);
  boost::asio::awaitable<FormAnswer> keep(Case way, storage::Secret key, rotation::KeyReceived received);
  boost::asio::awaitable<FormAnswer> refuse(Case way, std::string actor, FormRefused refused);

  rotation::Runner& runner_;
  const rotation::Vault& vault_;
  const storage::Clock& clock_;
  FormProof proof_;
};

}  // namespace keyturn::commands
