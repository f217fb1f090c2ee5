package sqltable_test

import (
	"errors"
	"testing"

	"github.com/sanad-id/sanad/registry/sqltable"
)

func TestCheckURL(t *testing.T) {
	tests := []struct {
		name, url string
		ok        bool
	}{
		{"over a network", "postgres://sanad@registry.example/civil", true},
		{"the other scheme", "postgresql://sanad@registry.example:6432/civil", true},
		{"verify-full", "postgres://sanad@registry.example/civil?sslmode=verify-full&sslrootcert=/etc/ca.pem", true},
		{"a socket", "postgres://sanad@/civil?host=/run/postgresql", true},
		{"a socket, user in the query", "postgres:///civil?host=/run/postgresql&user=sanad&port=5433", true},
		{"this machine", "postgres://sanad@localhost/civil", true},
		{"this machine, IPv6", "postgres://sanad@[::1]/civil?sslmode=disable", true},
		{"no TLS", "postgres://sanad@registry.example/civil?sslmode=disable", false},
		{"TLS if it happens to be there", "postgres://sanad@registry.example/civil?sslmode=prefer", false},
		{"TLS with anybody", "postgres://sanad@registry.example/civil?sslmode=require", false},
		{"any name", "postgres://sanad@registry.example/civil?sslmode=verify-ca", false},
		{"an address that is not this machine", "postgres://sanad@10.0.0.1/civil?sslmode=disable", false},
		{"a name that begins like this machine", "postgres://sanad@localhost.example/civil?sslmode=disable", false},
		{"a password", "postgres://sanad:word@registry.example/civil", false},
		{"an empty password", "postgres://sanad:@registry.example/civil", false},
		{"a password in the query", "postgres://sanad@registry.example/civil?password=word", false},
		{"no user", "postgres://registry.example/civil", false},
		{"no database", "postgres://sanad@registry.example", false},
		{"no host", "postgres://sanad@/civil", false},
		{"two hosts", "postgres://sanad@a,b/civil", false},
		{"a host twice", "postgres://sanad@localhost/civil?host=registry.example", false},
		{"a parameter twice", "postgres://sanad@localhost/civil?sslmode=disable&sslmode=require", false},
		{"settings of the server", "postgres://sanad@localhost/civil?options=-crole%3Dpostgres", false},
		{"another service", "postgres://sanad@localhost/civil?service=x", false},
		{"a NUL", "postgres://sanad@localhost/civil%00", false},
		{"no URL", "postgres://%zz", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := sqltable.CheckURL(tt.url); (err == nil) != tt.ok || err != nil && !errors.Is(err, sqltable.ErrLocation) {
				t.Errorf("CheckURL: %v, want it taken: %t", err, tt.ok)
			}
		})
	}
}
