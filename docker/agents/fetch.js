// fetch.js DESCRIBED NODE_VERSION OUT: installs the agents of DESCRIBED/*.json below OUT, with the image's layout: /opt/NAME
// with the npm package, /usr/local/bin/COMMAND that starts it, /opt/agents/{commands,state} for the Dockerfile.
// SPDX-License-Identifier: GPL-3.0-or-later
'use strict'

const { execFileSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')

const OLDEST_NODE = 22 // all agents in JavaScript run on this version

// npm may compile an optional package. It then uses the headers of this Node instead of fetching them from nodejs.org, or
// leaves the package out.
const NODE = path.resolve(process.execPath, '../..')

const [described, nodeVersion, out] = process.argv.slice(2)

function install(prefix, ...packages) {
  const options = ['--global', '--prefix', path.join(out, prefix), '--no-audit', '--no-fund', '--loglevel', 'error']
  execFileSync('npm', ['install', ...options, ...packages], { stdio: 'inherit', env: { ...process.env, npm_config_nodedir: NODE } })
}

// The interpreter of the installed program: none, or Node if its first line says so.
function interpreter(program) {
  const head = Buffer.alloc(128)
  const file = fs.openSync(path.join(out, program), 'r')
  fs.readSync(file, head)
  fs.closeSync(file)
  return /^#!.*\bnode\b/.test(head.toString('latin1')) ? node() : ''
}

// The base image's Node if it is new enough, otherwise one that only the agents use.
function node() {
  const [major, own] = fs.readFileSync(path.join(described, 'node'), 'utf8').trim().split(' ')
  if (Number(major) >= OLDEST_NODE) return `${own} `
  const folder = `/opt/node/lib/node_modules/node-linux-${process.arch}`
  if (!fs.existsSync(path.join(out, folder))) {
    install('/opt/node', `node-linux-${process.arch}@${nodeVersion}`)
    for (const unused of ['include', 'share']) fs.rmSync(path.join(out, folder, unused), { recursive: true, force: true })
  }
  return `${folder}/bin/node `
}

function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`
}

// A script and not a link: `docker exec` and IDEs start a program without a shell and without the entry point, and a
// Dockerfile cannot take ENV from data. A variable that is already set is not changed.
function starter(agent) {
  const program = `/opt/${agent.name}/bin/${agent.command}`
  if (!fs.existsSync(path.join(out, program))) {
    throw new Error(`${agent.package.npm} ${agent.package.version} has no command ${agent.command}`)
  }
  const variables = Object.entries(agent.environment).map(
    ([name, value]) => `[ -n "\${${name}+set}" ] || export ${name}=${quoted(value)}\n`)
  return `#!/bin/sh\n# ${agent.title}, with the variables of its file.\n${variables.join('')}exec ${interpreter(program)}${program} "$@"\n`
}

const agents = fs.readdirSync(described).filter((file) => file.endsWith('.json'))
  .map((file) => JSON.parse(fs.readFileSync(path.join(described, file), 'utf8')))
const programs = path.join(out, 'usr/local/bin')
const notes = path.join(out, 'opt/agents')
for (const folder of [programs, notes]) fs.mkdirSync(folder, { recursive: true })
for (const agent of agents) {
  install(`/opt/${agent.name}`, `${agent.package.npm}@${agent.package.version}`)
  const file = path.join(programs, agent.command)
  if (fs.existsSync(file)) throw new Error(`two agents have the command ${agent.command}`)
  fs.writeFileSync(file, starter(agent), { mode: 0o755 })
}
const lines = (list) => list.map((line) => `${line}\n`).join('')
fs.writeFileSync(path.join(notes, 'commands'), lines(agents.map((agent) => agent.command)))
fs.writeFileSync(path.join(notes, 'state'), lines(agents.flatMap((agent) => agent.state)))
