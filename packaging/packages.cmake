# What `cpack` makes: a tarball of all, and for Debian libws0 and libws-dev. Also the
# target `uninstall`, which takes away what `cmake --install` has put there.

set(doc_dir ${CMAKE_INSTALL_DATADIR}/doc)
install(FILES LICENSE CHANGELOG.md DESTINATION ${doc_dir}/libws0)
install(FILES LICENSE DESTINATION ${doc_dir}/libws-dev COMPONENT development)

add_custom_target(uninstall
  COMMAND ${CMAKE_COMMAND} -P ${PROJECT_SOURCE_DIR}/packaging/uninstall.cmake
  WORKING_DIRECTORY ${PROJECT_BINARY_DIR} VERBATIM)

set(CPACK_GENERATOR TGZ)
if(EXISTS /etc/debian_version)
  list(APPEND CPACK_GENERATOR DEB)
endif()
set(CPACK_PACKAGE_VENDOR "The libws authors")
set(CPACK_PACKAGE_CONTACT "The libws authors")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "${PROJECT_DESCRIPTION}")
set(CPACK_RESOURCE_FILE_LICENSE ${PROJECT_SOURCE_DIR}/LICENSE)
set(CPACK_PACKAGE_CHECKSUM SHA256)
set(CPACK_STRIP_FILES ON)

set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_RUNTIME_PACKAGE_NAME libws${PROJECT_VERSION_MAJOR})
set(CPACK_DEBIAN_RUNTIME_PACKAGE_SECTION libs)
set(CPACK_COMPONENT_RUNTIME_DESCRIPTION
    "The shared library, and the command libws.")
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME libws-dev)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_COMPONENT_DEVELOPMENT_DESCRIPTION
    "Headers, the static library, and files for pkg-config and CMake.")
# Static programs, and pkg-config in any case, need those of the libraries.
set(development_needs "libws${PROJECT_VERSION_MAJOR} (= ${PROJECT_VERSION})"
    zlib1g-dev)
if(WS_TLS)
  list(APPEND development_needs "libssl-dev (>= 3.0)")
endif()
if(LIBWS_IDN2_FOUND)
  list(APPEND development_needs libidn2-dev)
endif()
list(JOIN development_needs ", " CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS)
include(CPack)
