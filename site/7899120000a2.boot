#!version:1.0.0.1
include:config "7899120000a2.cfg"
