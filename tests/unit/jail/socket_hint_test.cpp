// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/jail/socket_hint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace soleroute::gateway::jail {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

const std::vector<std::string> kHidden{"/run/docker.sock", "/tmp/ssh-x/agent.1", "/run/user/1000"};

struct Row {
  std::vector<std::string> command;
  std::vector<std::string> environment;
  std::string socket;  // that the hint names; empty: no hint
};

TEST(SocketHint, NamesTheSocketOfAProgramThatTheCommandNames) {
  const Row rows[] = {
      {{"docker", "ps"}, {}, "/run/docker.sock"},
      {{"/usr/bin/docker", "ps"}, {}, "/run/docker.sock"},
      {{"sh", "-c", "cd x && docker ps"}, {}, "/run/docker.sock"},
      {{"docker", "ps"}, {"DOCKER_HOST=unix:///run/user/1000/docker.sock"}, "/run/user/1000/docker.sock"},
      {{"ssh-add", "-l"}, {"SSH_AUTH_SOCK=/tmp/ssh-x/agent.1"}, "/tmp/ssh-x/agent.1"},
      {{"tmux", "ls"}, {"TMUX=/run/user/1000/tmux/default,12,0"}, "/run/user/1000/tmux/default"},
      {{"ssh-add", "-l"}, {}, ""},
      {{"ssh-add", "-l"}, {"SSH_AUTH_SOCK=/elsewhere/agent"}, ""},
      {{"ls", "docker/", "my-docker", "docker-x"}, {}, ""},
      {{"podman", "ps"}, {}, ""},
      {{"false"}, {"DOCKER_HOST=unix:///run/docker.sock"}, ""},
  };
  for (const Row& row : rows) {
    const std::string hint = socket_hint(row.command, row.environment, kHidden);
    if (row.socket.empty()) {
      EXPECT_THAT(hint, IsEmpty()) << row.command.back();
    } else {
      EXPECT_THAT(hint, HasSubstr("--unix-socket " + row.socket)) << row.command.back();
    }
  }
}

}  // namespace
}  // namespace soleroute::gateway::jail
