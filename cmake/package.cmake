# SPDX-License-Identifier: GPL-3.0-or-later
# cmake --install and cpack -G DEB: the program, its man page, the policy files, the licence.
if(NOT TARGET gateway)
  return()
endif()

set(man_page ${CMAKE_BINARY_DIR}/gateway.1)
add_custom_command(OUTPUT ${man_page}
  COMMAND ${CMAKE_COMMAND} -DGATEWAY=$<TARGET_FILE:gateway> -DOUTPUT=${man_page} -DVERSION=${PROJECT_VERSION}
          -P ${CMAKE_CURRENT_LIST_DIR}/man.cmake
  COMMAND gzip -9nkf ${man_page}  # as Debian wants it installed
  BYPRODUCTS ${man_page}.gz
  DEPENDS gateway ${CMAKE_CURRENT_LIST_DIR}/man.cmake
  VERBATIM)
add_custom_target(man ALL DEPENDS ${man_page})

set(share ${CMAKE_INSTALL_DATADIR}/soleroute)
install(TARGETS gateway RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(FILES ${man_page}.gz DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
foreach(folder services examples)
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/policy/${folder} DESTINATION ${share}/policy
    FILES_MATCHING PATTERN "*.yaml")
endforeach()
file(GLOB policy_schemas CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/policy/*.schema.json)
install(FILES ${policy_schemas} DESTINATION ${share}/policy)
install(FILES ${PROJECT_SOURCE_DIR}/README.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
# Debian's place and form of the licence and the changes.
configure_file(${CMAKE_CURRENT_LIST_DIR}/debian_changelog.in ${CMAKE_BINARY_DIR}/changelog @ONLY)
execute_process(COMMAND gzip -9nkf ${CMAKE_BINARY_DIR}/changelog COMMAND_ERROR_IS_FATAL ANY)
install(FILES ${CMAKE_BINARY_DIR}/changelog.gz DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/soleroute)
install(FILES ${PROJECT_SOURCE_DIR}/cmake/debian_copyright DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/soleroute
  RENAME copyright)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME soleroute)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_CONTACT "Soleroute maintainers <maintainers@users.noreply.soleroute.example>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "sole route out of an AI agent's container")
set(CPACK_PACKAGE_DESCRIPTION
  "Soleroute puts one program between an AI coding agent and the network. It\n\
answers DNS, redirects TCP with nftables, reads the TLS server name or the HTTP\n\
host, forwards what a policy file allows and refuses everything else with an\n\
error that says how to allow it. Programs inside need no proxy settings.")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS ca-certificates)
set(CPACK_DEBIAN_PACKAGE_SUGGESTS nftables)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_VERBATIM_VARIABLES ON)
include(CPack)
