#!/bin/sh
# Books the class at 18:00. It knows the password, and logs in each time.
set -eu
box=https://yourbox.aimharder.com
login=https://login.aimharder.com/api/login
day=$1
jar=$(mktemp)
trap 'rm -f "$jar"' EXIT

who="{\"username\":\"you@example.com\",\"password\":\"$PASSWORD\",\"fingerprint\":\"my-bot\",\"iniframe\":0}"
curl -sf -c "$jar" -H "Content-Type: application/json" -d "$who" "$login" >/dev/null

told=$(curl -sf -b "$jar" "$box/api/bookings?day=$day&box=9283&familyId=")
class=$(echo "$told" | sed -n 's/.*"id":\([0-9]*\),"time":"18:00.*/\1/p')
told=$(curl -sf -b "$jar" -d "id=$class&day=$day&insist=0&familyId=" "$box/api/book")
case $told in *'"bookState":1,'*) echo booked ;; *) echo "$told" ;; esac
