// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/commands/command.h"

int main(int argc, char** argv) {
  return soleroute::gateway::commands::run_program(argc, argv);
}
