#!/bin/sh
# What udhcpc runs when it loses or gets an address. The speaker reads its
# address and its name server from $LEASE.
# shellcheck disable=SC2154 # the variables are those that udhcpc sets
set -e
case $1 in
deconfig)
	rm -f "$LEASE"
	ip address flush dev "$interface"
	;;
bound | renew)
	ip address replace "$ip/$mask" dev "$interface"
	ip route replace default via "$router" dev "$interface"
	echo "$ip $dns" >"$LEASE.new"
	mv "$LEASE.new" "$LEASE"
	;;
esac
