# SPDX-License-Identifier: GPL-3.0-or-later
# cmake --install and cpack -G DEB: the program, its man page and completion, the policy files, the AppArmor profile, the licence.
# The Debian package has the program that is linked with Debian's shared libraries; everything else is the same in both.
if(NOT TARGET gateway)
  return()
endif()

set(man_pages ${CMAKE_BINARY_DIR}/man)
set(man_stamp ${CMAKE_BINARY_DIR}/man.stamp)
add_custom_command(OUTPUT ${man_stamp}
  COMMAND ${CMAKE_COMMAND} -E rm -rf ${man_pages}
  COMMAND ${CMAKE_COMMAND} -E make_directory ${man_pages}
  COMMAND gateway help --write-man ${man_pages}
  COMMAND gzip -9nrk ${man_pages}  # as Debian wants them installed
  COMMAND ${CMAKE_COMMAND} -E touch ${man_stamp}
  DEPENDS gateway
  VERBATIM)
set(completions "")
foreach(shell bash zsh fish)
  set(script ${CMAKE_BINARY_DIR}/completion/gateway.${shell})
  add_custom_command(OUTPUT ${script} COMMAND gateway completion ${shell} > ${script} DEPENDS gateway VERBATIM)
  list(APPEND completions ${script})
endforeach()
file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/completion)
add_custom_target(man ALL DEPENDS ${man_stamp} ${completions})

set(package_files ${PROJECT_SOURCE_DIR}/packaging)
set(share ${CMAKE_INSTALL_DATADIR}/soleroute)
install(DIRECTORY ${man_pages}/ DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT common FILES_MATCHING PATTERN "*.1.gz")
foreach(folder services examples)
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/policy/${folder} DESTINATION ${share}/policy COMPONENT common
    FILES_MATCHING PATTERN "*.yaml")
endforeach()
file(GLOB policy_schemas CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/policy/*.schema.json)
install(FILES ${policy_schemas} DESTINATION ${share}/policy COMPONENT common)
install(FILES ${PROJECT_SOURCE_DIR}/README.md DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT common)
install(FILES ${package_files}/apparmor DESTINATION ${share}/apparmor RENAME soleroute COMPONENT common)
set(completion ${CMAKE_BINARY_DIR}/completion/gateway)
install(FILES ${completion}.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME gateway COMPONENT common)
install(FILES ${completion}.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d COMPONENT common)

install(TARGETS gateway RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT program)
install(FILES ${completion}.zsh DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions RENAME _gateway COMPONENT program)
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT program)

set(packaged gateway)
if(TARGET gateway_shared)
  set(packaged gateway_shared)
endif()
install(PROGRAMS $<TARGET_FILE:${packaged}> DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT debian EXCLUDE_FROM_ALL)
install(FILES ${completion}.zsh DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions RENAME _gateway COMPONENT debian
  EXCLUDE_FROM_ALL)
# Debian's place and form of the licence and the changes.
configure_file(${package_files}/debian/changelog.in ${CMAKE_BINARY_DIR}/changelog @ONLY)
execute_process(COMMAND gzip -9nkf ${CMAKE_BINARY_DIR}/changelog COMMAND_ERROR_IS_FATAL ANY)
set(doc ${CMAKE_INSTALL_DATADIR}/doc/soleroute)
install(FILES ${CMAKE_BINARY_DIR}/changelog.gz DESTINATION ${doc} COMPONENT debian EXCLUDE_FROM_ALL)
install(FILES ${package_files}/debian/copyright DESTINATION ${doc} COMPONENT debian EXCLUDE_FROM_ALL)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME soleroute)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_CONTACT "Soleroute maintainers <maintainers@users.noreply.soleroute.example>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "network allowlist for AI agents: blocks everything else")
set(CPACK_PACKAGE_DESCRIPTION
  "Soleroute is an allowlist firewall for the network access of AI coding\n\
agents. It answers DNS, redirects TCP with nftables, and reads the TLS server\n\
name or the HTTP host. It forwards connections that a policy file allows, and\n\
blocks all others with an error that says how to allow them. Programs need no\n\
proxy settings. Works for one command, a container or a CI job.")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS ca-certificates)
set(CPACK_DEBIAN_PACKAGE_SUGGESTS nftables)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA "${package_files}/debian/postinst;${package_files}/debian/prerm")
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_ALL common debian)
set(CPACK_COMPONENTS_GROUPING ALL_COMPONENTS_IN_ONE)
set(CPACK_VERBATIM_VARIABLES ON)
include(CPack)
