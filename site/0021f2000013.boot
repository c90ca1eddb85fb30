#!version:1.0.0.1
include:config "0021f2000013.cfg"
