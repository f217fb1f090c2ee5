package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/sanad-id/sanad/credential/status"
	"github.com/sanad-id/sanad/internal/cli"
	"github.com/sanad-id/sanad/internal/fetch"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/keys/chain"
	"github.com/sanad-id/sanad/trust"
	"github.com/sanad-id/sanad/wallet"
)

// network implements [wallet.Sender] with the one way out.
type network struct {
	*fetch.Client
	now func() time.Time
}

// Send implements [wallet.Sender].
func (n network) Send(ctx context.Context, r wallet.Request) (wallet.Answer, error) {
	out := fetch.Request{Address: r.Address, Header: http.Header{}, Body: r.Body, MaxBytes: r.MaxBytes, Keep: r.Document}
	if r.Type != "" {
		out.Method = http.MethodPost
		out.Header.Set("Content-Type", r.Type)
	}
	if r.Accept != "" {
		out.Header.Set("Accept", r.Accept)
	}
	for name, value := range r.Header {
		out.Header.Set(name, value)
	}
	if r.StatusList {
		out.Keep, out.Redirects, out.Elsewhere = true, listRedirects, true
		out.Fresh = func(token []byte) (time.Duration, bool) { return status.FreshJWT(token, n.now()) }
	}
	a, err := n.Do(ctx, out)
	return wallet.Answer{Status: a.Status, Type: a.Type, Header: a.Header, Body: a.Body}, err
}

// listRedirects is how many redirects are followed to a status list (Token Status List section 8.2).
const listRedirects = 3

// keepDocuments is the longest time for which a document is not asked for again, such as
// the metadata of an issuer of whom several credentials are fetched.
const keepDocuments = 5 * time.Minute

// client is the way out as the flags allow it.
func (p *program) client() *fetch.Client {
	c := fetch.Config{MaxAge: keepDocuments, Now: p.Now}
	if p.devHTTP {
		c.LocalHosts = []string{"127.0.0.1", "localhost", "::1"}
	}
	return fetch.New(c)
}

// home is the wallet's folder.
func (p *program) home() (string, error) {
	if p.dir != "" {
		return p.dir, nil
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", cli.Hint(fmt.Errorf("find your configuration folder: %w", err), "name a folder with --dir")
	}
	return filepath.Join(dir, "sanad-wallet"), nil
}

// open opens the wallet.
func (p *program) open(cmd *cobra.Command) (*wallet.Wallet, error) {
	dir, err := p.home()
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(dir, "wallet.age")); errors.Is(err, os.ErrNotExist) {
		return nil, cli.Hint(fmt.Errorf("%w: %s", wallet.ErrNoWallet, dir), "make one: wallet-cli init")
	}
	pass, err := p.secret(cmd, p.passphrase, "Passphrase of the wallet: ", "--passphrase-file FILE")
	if err != nil {
		return nil, err
	}
	w, err := wallet.Open(dir, pass)
	switch {
	case errors.Is(err, wallet.ErrNoWallet):
		return nil, cli.Hint(err, "make one: wallet-cli init")
	case errors.Is(err, wallet.ErrPassphrase):
		return nil, cli.Hint(err, "try again; without the passphrase nobody can open it")
	case errors.Is(err, wallet.ErrInUse):
		return nil, cli.Hint(err, "wait until the other wallet-cli has ended")
	}
	return w, err
}

// secret reads a secret from a file that only its owner may read, or asks for it.
func (p *program) secret(cmd *cobra.Command, file, question, flag string) ([]byte, error) {
	if file != "" {
		return keys.ReadPassphrase(file)
	}
	f, ok := cmd.InOrStdin().(*os.File)
	if !ok || !cli.IsTerminal(f) {
		return nil, p.Misused(cli.Hint(errors.New("there is no terminal to ask on"), "give %s", flag))
	}
	fmt.Fprint(cmd.ErrOrStderr(), question)
	b, err := term.ReadPassword(int(f.Fd()))
	fmt.Fprintln(cmd.ErrOrStderr())
	if err == nil && len(b) == 0 {
		err = errors.New("nothing was typed")
	}
	return b, err
}

// with opens the wallet for a command's action.
func (p *program) with(f func(cmd *cobra.Command, w *wallet.Wallet, args []string) error) func(*cobra.Command, []string) error {
	return p.Action(func(cmd *cobra.Command, args []string) (err error) {
		w, err := p.open(cmd)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, w.Close()) }()
		return p.refused(cmd, f(cmd, w, args))
	})
}

// agent is the wallet with what it trusts.
func (p *program) agent(w *wallet.Wallet) (*wallet.Agent, error) {
	c := wallet.Config{Wallet: w, Sender: network{p.client(), p.Now}, UnknownIssuers: p.unknown, LoopbackHTTP: p.devHTTP, Now: p.Now}
	var err error
	if c.Language, err = p.Language(); err != nil {
		return nil, err
	}
	if c.Trust, err = p.bundle(); err != nil {
		return nil, err
	}
	dir, err := p.trustDir()
	if err != nil {
		return nil, err
	}
	if c.Roots, err = chain.Folder(dir).Roots(); err != nil {
		return nil, err
	}
	return wallet.NewAgent(c)
}

func (p *program) trustDir() (string, error) {
	dir, err := p.home()
	return filepath.Join(dir, "trust"), err
}

// bundle is the imported trust bundle, nil if there is none.
func (p *program) bundle() (*trust.Bundle, error) {
	dir, err := p.trustDir()
	if err != nil {
		return nil, err
	}
	st, err := trust.NewDirMemory(dir).Load()
	if err != nil || !st.Trusted() {
		return nil, err
	}
	b, err := st.Open()
	return b, cli.Hint(err, "import the trust bundle again: wallet-cli trust import FILE")
}

// agreed asks the person, unless --yes was given. The question has been shown.
func (p *program) agreed(cmd *cobra.Command, question string) (bool, error) {
	if p.yes {
		return true, nil
	}
	if !cli.IsTerminal(cmd.InOrStdin()) {
		return false, p.Misused(cli.Hint(errors.New("there is no terminal to ask on"), "look at what is shown above, then give --yes"))
	}
	words, err := p.Language()
	if err != nil {
		return false, err
	}
	fmt.Fprintln(cmd.ErrOrStderr())
	return cli.Agreed(cmd, question, words.Text("wallet.ask.yes", nil), words.Text("wallet.ask.no", nil)), nil
}

// readAll reads a file, or standard input for "-", up to a limit.
func readAll(cmd *cobra.Command, name string, limit int64) ([]byte, error) {
	in := cmd.InOrStdin()
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("%s holds more than %d bytes", name, limit)
	}
	return b, err
}

// link is an offer or a request as the person gives it: the link itself, or - for
// standard input.
func link(cmd *cobra.Command, arg string) (string, error) {
	if arg != "-" {
		return arg, nil
	}
	b, err := readAll(cmd, "-", 128<<10)
	return string(bytes.TrimSpace(b)), err
}
