# After cpack has made Debian packages: takes away the scripts postinst and postrm, which CPack adds for every library. They
# call ldconfig, which the package's trigger does already, as Debian's policy has it.
# SPDX-License-Identifier: Apache-2.0
cmake_minimum_required(VERSION 3.25)
foreach(deb ${CPACK_PACKAGE_FILES})
  execute_process(COMMAND dpkg-deb --info ${deb} OUTPUT_VARIABLE info COMMAND_ERROR_IS_FATAL ANY)
  if(NOT info MATCHES "postinst")
    continue()
  endif()
  set(tree ${deb}.tree)
  execute_process(COMMAND dpkg-deb --raw-extract ${deb} ${tree} COMMAND_ERROR_IS_FATAL ANY)
  file(REMOVE ${tree}/DEBIAN/postinst ${tree}/DEBIAN/postrm)
  execute_process(COMMAND dpkg-deb --root-owner-group --build ${tree} ${deb} OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
  file(REMOVE_RECURSE ${tree})
endforeach()
