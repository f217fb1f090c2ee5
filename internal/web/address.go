package web

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// clientAddress is who asks: the peer, or who it says if it is one of our proxies.
// Of a list it is the last that is no proxy of ours, since what stands before was
// written by that one. The zero Addr stands for somebody who cannot be told.
func clientAddress(r *http.Request, proxies []netip.Prefix) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	addr := peer.Addr().WithZone("").Unmap()
	ours := func(a netip.Addr) bool {
		return slices.ContainsFunc(proxies, func(p netip.Prefix) bool { return p.Contains(a) })
	}
	if !ours(addr) {
		return addr
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		a, err := netip.ParseAddr(strings.TrimSpace(hop))
		if err != nil {
			return addr
		}
		addr = a.WithZone("").Unmap()
		if !ours(addr) {
			break
		}
	}
	return addr
}
