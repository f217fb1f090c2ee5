package fetch

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"time"
)

// inside are networks that are not the public Internet, beside those that netip
// knows by name (RFC 6890 and the registries of IANA that followed it).
var inside = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("192.88.99.0/24"), netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("::/96"), // IPv4 in an old form
	netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("64:ff9b:1::/48"), netip.MustParsePrefix("100::/64"), netip.MustParsePrefix("100:0:0:1::/64"),
	netip.MustParsePrefix("2001::/23"), netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("2002::/16"), netip.MustParsePrefix("3fff::/20"),
	netip.MustParsePrefix("5f00::/16"), netip.MustParsePrefix("fec0::/10"),
}

// metadata are the addresses at which clouds tell their machines secrets. A local name
// does not lead there, unless the settings name the address itself.
var metadata = []netip.Addr{
	netip.MustParseAddr("169.254.169.254"), netip.MustParseAddr("169.254.170.2"), netip.MustParseAddr("100.100.100.200"),
	netip.MustParseAddr("192.0.0.192"), netip.MustParseAddr("fd00:ec2::254"), netip.MustParseAddr("fd20:ce::254"),
}

// parseAddress reads the address that a connection is about to be made to.
func parseAddress(address string) (netip.Addr, error) {
	a, err := netip.ParseAddrPort(address)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("%w: not an address", ErrForbidden)
	}
	return a.Addr().WithZone("").Unmap(), nil
}

// checkPublic refuses every address that is not on the public Internet.
func checkPublic(_, address string) error {
	ip, err := parseAddress(address)
	if err != nil {
		return err
	}
	if !ip.IsGlobalUnicast() || ip.IsPrivate() || slices.ContainsFunc(inside, func(p netip.Prefix) bool { return p.Contains(ip) }) {
		return fmt.Errorf("%w: %s", ErrForbidden, ip)
	}
	return nil
}

// checkLocal refuses the addresses that not even a host of the settings may have.
func checkLocal(host, address string) error {
	ip, err := parseAddress(address)
	if err != nil {
		return err
	}
	if named, err := netip.ParseAddr(host); err == nil && named.Unmap() == ip {
		return nil
	}
	if slices.Contains(metadata, ip) || ip.IsMulticast() {
		return fmt.Errorf("%w: %s", ErrForbidden, ip)
	}
	return nil
}

// A guard makes connections. Its fields are for tests.
type guard struct {
	resolver *net.Resolver
	connect  func(address string) error
}

// dialer returns a function that connects to a host, at none but the addresses that
// allowed lets through. The check is made of the address that the connection goes to,
// after the name was resolved and before anything is sent: nothing is looked up twice.
func (g guard) dialer(timeout time.Duration, allowed func(host, address string) error) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, hostport string) (net.Conn, error) {
		host, _, err := net.SplitHostPort(hostport)
		if err != nil {
			return nil, fmt.Errorf("%w: not an address", ErrForbidden)
		}
		d := net.Dialer{Timeout: timeout, Resolver: g.resolver, Control: func(_, address string, _ syscall.RawConn) error {
			if err := allowed(host, address); err != nil {
				return err
			}
			if g.connect != nil {
				return g.connect(address)
			}
			return nil
		}}
		return d.DialContext(ctx, network, hostport)
	}
}

// isHost reports whether s is a name of letters, digits, hyphens and underlines, or an
// IP address in its one usual spelling. 0177.0.0.1 and 2130706433 are addresses for
// some resolvers, a zone names an interface of this machine, and other characters have
// been read differently by different programs.
func isHost(s string) bool {
	if ip, err := netip.ParseAddr(s); err == nil {
		return ip.Zone() == ""
	}
	if len(s) > 253 {
		return false
	}
	labels := strings.Split(strings.TrimSuffix(s, "."), ".")
	for _, l := range labels {
		if l == "" || len(l) > 63 || strings.Trim(strings.ToLower(l), "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	last := labels[len(labels)-1]
	return last[0] < '0' || last[0] > '9'
}
