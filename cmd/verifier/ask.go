package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sanad-id/sanad/api/verifier"
	"github.com/sanad-id/sanad/internal/cli"
	"github.com/sanad-id/sanad/internal/fetch"
	"github.com/sanad-id/sanad/internal/web"
	"github.com/sanad-id/sanad/oid4vp"
	"github.com/sanad-id/sanad/qr/image"
	"github.com/sanad-id/sanad/verification"
	"github.com/sanad-id/sanad/verification/explain"
)

// askOptions are the flags of request.
type askOptions struct {
	server, keyFile string
	data            string // file with transaction data
	claims          []string
	receipt, noWait bool
}

func (p *program) requestCommand() *cobra.Command {
	var o askOptions
	c := &cobra.Command{
		Use: "request POLICY", Short: "Ask a wallet through a verifier that serves", Args: cobra.ExactArgs(1),
		Long: `Makes a request for a policy at a running verifier, prints link and code for the wallet, waits for the answer and prints the result. The exit
status is the verdict, as with check; 30 if the wallet refused or did not answer in time.

The verifier is the one of the settings, on its private port, or, with --api-key-file, where it serves everybody; or that of --server. Once
relying parties have keys (api_keys, "verifier api-key add") they need one.`,
		Example: `  verifier request example --config library/verifier.yaml
  verifier request example --config library/verifier.yaml --api-key-file key.txt
  verifier request example --server https://verifier.library.example --api-key-file key.txt --claims card=full_name
  verifier request loan --transaction-data loan.json --config library/verifier.yaml
  verifier request example --json --no-wait`,
		RunE: p.Action(func(cmd *cobra.Command, args []string) error { return p.request(cmd, args[0], o) }),
	}
	f := c.Flags()
	f.StringVar(&o.server, "server", "", "`URL` of the verifier (default: that of the settings with --api-key-file, else their private port)")
	f.StringVar(&o.keyFile, "api-key-file", "", "`FILE` with the key of the relying party")
	f.StringArrayVar(&o.claims, "claims", nil, "ask for less: `CREDENTIAL=CLAIM,CLAIM`")
	f.StringVar(&o.data, "transaction-data", "", "have the holder sign what is in `FILE`: the JSON list that the API takes")
	f.BoolVar(&o.receipt, "receipt", false, "put a signed receipt into the result")
	f.BoolVar(&o.noWait, "no-wait", false, "print link and id, and do not wait")
	return c
}

// A relying party talks to a verifier.
type relying struct {
	client *fetch.Client
	server string
	key    string
	// private says that the server is the private port, which serves relying parties while
	// none of them has a key.
	private bool
}

// errNeedsKey: relying parties have keys here.
var errNeedsKey = errors.New("this verifier serves relying parties on its public port, with a key")

func needsKey() error {
	return cli.Hint(errNeedsKey, "name the file of one with --api-key-file; `verifier api-key add NAME` makes one")
}

func (p *program) relying(o askOptions) (*relying, error) {
	key, err := readSecret(o.keyFile)
	if err != nil {
		return nil, err
	}
	r := &relying{server: strings.TrimSuffix(o.server, "/"), key: key}
	if r.server == "" {
		cfg, err := readConfig(p.settings)
		if err != nil {
			return nil, err
		}
		switch {
		case key != "":
			r.server = strings.TrimSuffix(cfg.URL, "/")
		case cfg.Private == "" || len(cfg.APIKeys) > 0:
			return nil, needsKey()
		default:
			r.server, r.private = "http://"+cfg.Private, true
		}
	}
	r.client = fetch.New(fetch.Config{LocalHosts: []string{"127.0.0.1", "::1", "localhost"}, MaxBytes: 1 << 20})
	return r, nil
}

// call sends one request and reads the answer into v.
func (r *relying) call(ctx context.Context, method, path string, body, v any) error {
	q := fetch.Request{Method: method, Address: r.server + path, Header: http.Header{}}
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return err
		}
		q.Body = b
		q.Header.Set("Content-Type", web.MediaJSON)
	}
	if r.key != "" {
		q.Header.Set("Authorization", "Bearer "+r.key)
	}
	a, err := r.client.Do(ctx, q)
	if err != nil {
		return cli.Hint(err, "does `verifier serve` run, and is this its address?")
	}
	if a.Status >= 300 {
		var problem struct{ Title, Code, Detail string }
		_ = json.Unmarshal(a.Body, &problem)
		if r.private && method == http.MethodPost && problem.Code == "not_found" {
			return needsKey() // a key was made since, which moved these addresses
		}
		return fmt.Errorf("the verifier refused: %d %s: %s", a.Status, problem.Code, problem.Detail)
	}
	return json.Unmarshal(a.Body, v)
}

func (p *program) request(cmd *cobra.Command, policy string, o askOptions) error {
	body := map[string]any{"policy": policy, "receipt": o.receipt}
	if len(o.claims) > 0 {
		claims := map[string][]string{}
		for _, c := range o.claims {
			id, names, ok := strings.Cut(c, "=")
			if !ok {
				return p.Misused(fmt.Errorf("--claims %q is not CREDENTIAL=CLAIM,CLAIM", c))
			}
			claims[id] = strings.Split(names, ",")
		}
		body["claims"] = claims
	}
	if o.data != "" {
		b, err := os.ReadFile(o.data)
		if err != nil {
			return err
		}
		if !json.Valid(b) {
			return fmt.Errorf("--transaction-data %s is not JSON", o.data)
		}
		body["transaction_data"] = json.RawMessage(b)
	}
	r, err := p.relying(o)
	if err != nil {
		return err
	}
	var made verifier.Created
	if err := r.call(cmd.Context(), http.MethodPost, "/requests", body, &made); err != nil {
		return err
	}
	if o.noWait {
		return p.Print(cmd, made, func(w io.Writer) { fmt.Fprintf(w, "%s\nid %s\n", made.Link, made.ID) })
	}
	cli.Say(cmd, "%s", made.Link)
	if code, err := image.Draw(made.Link, image.L); err == nil {
		if f, ok := cmd.ErrOrStderr().(*os.File); ok && cli.Colours(f) {
			cli.Say(cmd, "%s", code.Terminal())
		} else {
			cli.Say(cmd, "%s", code.TerminalPlain())
		}
	}
	return p.await(cmd, r, made)
}

// asked is the state of a request as a program reads it.
type asked struct {
	Status string          `json:"status"`
	Result json.RawMessage `json:"result"`
}

// await asks until there is a result.
func (p *program) await(cmd *cobra.Command, r *relying, made verifier.Created) error {
	var a asked
	for {
		if err := r.call(cmd.Context(), http.MethodGet, "/requests/"+made.ID, nil, &a); err != nil {
			return err
		}
		if a.Status != "waiting" {
			break
		}
		select {
		case <-cmd.Context().Done():
			return cmd.Context().Err()
		case <-time.After(500 * time.Millisecond):
		}
	}
	if a.Status == "expired" {
		cli.Say(cmd, "verifier: nobody answered in time")
		return cli.Exit(verification.Undetermined.ExitStatus())
	}
	var result struct {
		Verdict       verification.Verdict
		Reasons       []string
		Refused       oid4vp.Code
		Presentations []struct {
			Credential string
			Claims     []struct {
				Path  []any
				Value any
			}
		}
	}
	if err := json.Unmarshal(a.Result, &result); err != nil {
		return err
	}
	if p.JSON {
		if err := cli.PrintJSON(cmd.OutOrStdout(), a.Result); err != nil {
			return err
		}
	} else {
		words, err := p.Language()
		if err != nil {
			return err
		}
		out := cmd.OutOrStdout()
		if result.Refused != "" {
			fmt.Fprintf(out, "the wallet refused: %s\n", cli.Visible(string(result.Refused)))
		} else {
			fmt.Fprintf(out, "%s %s\n", signs[result.Verdict].sign, words.Text("verdict."+string(result.Verdict), nil))
		}
		for _, reason := range result.Reasons {
			fmt.Fprintf(out, "  %s\n", cli.Visible(reason))
		}
		for _, one := range result.Presentations {
			for _, c := range one.Claims {
				fmt.Fprintf(out, "  %s %s: %s\n", cli.Visible(one.Credential), cli.Visible(oid4vp.PathText(c.Path)), cli.Visible(explain.Plain(c.Value)))
			}
		}
	}
	if status := result.Verdict.ExitStatus(); status != 0 {
		return cli.Exit(status)
	}
	return nil
}
