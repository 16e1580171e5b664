package app

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestPrintedFileEqualsDefaults(t *testing.T) {
	var printed bytes.Buffer
	if err := Default().Print(&printed); err != nil {
		t.Fatal(err)
	}
	got, err := parse("", printed.Bytes())
	if err != nil {
		t.Fatalf("the printed file does not load: %v\n%s", err, &printed)
	}
	want := Default()
	want.Domains, want.SIP.Trusted, want.SIP.TrustedCertificates, want.SIP.DNS = []string{}, []string{}, []string{}, []string{}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the printed file is not the defaults (-want +got):\n%s", diff)
	}
	for _, s := range Default().settings() {
		name := s.key[strings.LastIndexByte(s.key, '.')+1:]
		if !strings.Contains(printed.String(), name+" = ") {
			t.Errorf("the printed file lacks %s", s.key)
		}
	}
}

// docs/vigie.toml is made by `make generate`.
func TestCommittedFileIsThePrintedOne(t *testing.T) {
	var printed bytes.Buffer
	if err := Default().Print(&printed); err != nil {
		t.Fatal(err)
	}
	committed, err := os.ReadFile("../docs/vigie.toml")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(printed.String(), string(committed)); diff != "" {
		t.Errorf("docs/vigie.toml is not what is printed; run make generate (-printed +committed):\n%s", diff)
	}
}

func TestFileOfTheReadmeLoads(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(readme), "```toml\n")
	file, _, found := strings.Cut(rest, "```")
	if !found {
		t.Fatal("the README shows no configuration file")
	}
	c, err := parse("vigie.toml", []byte(file))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprintf("%v %v %s", c.Domains, c.SIP.Listen, c.HTTP.Listen), "[example.com] [udp://0.0.0.0:5060 tcp://0.0.0.0:5060] 127.0.0.1:8080"; got != want {
		t.Errorf("it sets %s, want %s", got, want)
	}
}

// The keys of this file are promised to stay.
const fixedKeys = `domains = ["example.com"]

[sip]
listen = ["udp://127.0.0.1:5060", "tcp://127.0.0.1:5060"]   # also tls:// and ws://, wss://
trusted = ["192.0.2.10/32"]
authentication = "digest"

[tls]
certificate = "cert.pem"
key = "key.pem"

[http]
listen = "127.0.0.1:8080"

[storage]
directory = "sqlite"
durability = "process"

[presence]
watchers = { same-domain = "allow", others = "confirm" }
expires = { min = "60s", default = "1h", max = "24h" }
notify-interval = "5s"

[dialog]
expires = { min = "60s", default = "1h", max = "24h" }

[message-summary]
expires = { max = "48h" }

[reg.expires]
min = "2m"
`

func TestFixedKeysLoad(t *testing.T) {
	dir := t.TempDir()
	writeCertificate(t, dir)
	file := write(t, dir, fixedKeys)
	c, err := Load(file)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := c.MessageSummary.Expires.Max, 48*time.Hour; got != want {
		t.Errorf("message-summary.expires.max = %v, want %v", got, want)
	}
	if got, want := c.Reg.Expires.Min, 2*time.Minute; got != want {
		t.Errorf("reg.expires.min = %v, want %v", got, want)
	}
	if got, want := c.path(c.TLS.Certificate), filepath.Join(dir, "cert.pem"); got != want {
		t.Errorf("tls.certificate is looked for at %s, want %s: beside the file", got, want)
	}
}

func TestConfigurationProblems(t *testing.T) {
	tests := []struct{ name, file, want string }{
		{"typo in a key", "[sip]\nlisen = []\n", `F:2: unknown key "sip.lisen"; did you mean "sip.listen"?`},
		{"typo in an inline table", "[presence]\nexpires = { min = \"60s\", maks = \"1h\" }\n",
			`F:2: unknown key "presence.expires.maks"; did you mean "presence.expires.max"?`},
		{"typo in a section", "domains = []\n\n[presense]\nnotify-interval = \"5s\"\n",
			`F:3: unknown section "presense"; did you mean "presence"?`},
		{"key in the wrong place", "durability = \"fsync\"\n", `F:1: unknown key "durability"; did you mean "storage.durability"?`},
		{"nothing near", "colour = \"red\"\n", "F:1: unknown key \"colour\"; `vigie config` prints all there are"},
		{"text for a list", "domains = \"example.com\"\n", `F:1: domains is the text "example.com"; write a list, such as ["example.com"]`},
		{"number in a list", "domains = [\"a.example\", 3]\n",
			`F:1: domains holds 3; write a list of texts in quotes, such as ["example.com"]`},
		{"value for a table", "sip = 3\n", "F:1: sip is the number 3; it holds several keys: "},
		{"duration without unit", "[presence]\nnotify-interval = 5\n",
			`F:2: presence.notify-interval is 5; write a duration with its unit, such as "5s", "10m" or "24h"`},
		{"no duration", "[presence]\nnotify-interval = \"soon\"\n", `F:2: presence.notify-interval is "soon", which is no duration; `},
		{"negative duration", "[presence]\nnotify-interval = \"-5s\"\n",
			`F:2: presence.notify-interval is "-5s"; a duration cannot be negative`},
		{"word not in the list", "[storage]\ndurability = \"fsink\"\n",
			`F:2: storage.durability is "fsink"; did you mean "fsync"? It can be "process", "fsync" or "relaxed"`},
		{"number out of bounds", "[sip]\nmax-headers = 2\n", "F:2: sip.max-headers is 2; it can be 16 to 4096"},
		{"size", "[presence]\nmax-body = \"64kb\"\n",
			`F:2: presence.max-body is "64kb"; write a number of bytes, or a text such as "64KiB", "2MiB" or "1GiB"`},
		{"size out of bounds", "[presence]\nmax-body = 3\n", "F:2: presence.max-body is 3; it can be 1KiB to 16MiB"},
		{"min above max", "[presence]\nexpires = { min = \"2h\", max = \"1h\" }\n", "F:2: presence.expires.min is 2h, above max, which is 1h"},
		{"default outside", "[dialog]\nexpires = { default = \"30s\" }\n",
			"F:2: dialog.expires.default is 30s; it must lie between min (1m) and max (24h)"},
		{"listener without protocol", "[sip]\nlisten = [\"127.0.0.1:5060\"]\n",
			`F:2: sip.listen: listen address "127.0.0.1:5060": want protocol://address:port, such as udp://127.0.0.1:5060`},
		{"listener with a foreign protocol", "[sip]\nlisten = [\"http://127.0.0.1:5060\"]\n",
			`F:2: sip.listen: listen address "http://127.0.0.1:5060": protocol "http" is not one of udp, tcp, tls`},
		{"listener without certificate", "[sip]\nlisten = [\"tls://127.0.0.1:5061\"]\n",
			`F:2: sip.listen holds "tls://127.0.0.1:5061", which needs tls.certificate and tls.key`},
		{"the same listener twice", "[sip]\nlisten = [\"udp://127.0.0.1:5060\", \"udp://127.0.0.1:5060\"]\n",
			`F:2: sip.listen holds "udp://127.0.0.1:5060" twice`},
		{"no listener", "[sip]\nlisten = []\n", "F:2: sip.listen is empty; "},
		{"missing certificate", "[tls]\ncertificate = \"none.pem\"\nkey = \"none.key\"\n", "F:2: tls.certificate: there is no file D/none.pem"},
		{"certificate without key", "[tls]\ncertificate = \"cert.pem\"\n", "F:2: tls.certificate is given without tls.key"},
		{"trusted", "[sip]\ntrusted = [\"proxy.example.com\"]\n",
			`F:2: sip.trusted holds "proxy.example.com"; write an address or a network, such as "192.0.2.10" or "192.0.2.0/24"`},
		{"domain twice", "domains = [\"example.com\", \"Example.COM\"]\n", `F:1: domains holds "Example.COM" twice`},
		{"domain with a scheme", "domains = [\"sip:example.com\"]\n", `F:1: domains holds "sip:example.com": write the domain alone, such as "example.com"`},
		{"http", "[http]\nlisten = \"8080\"\n", `F:2: http.listen is "8080": no port; write an address and a port, such as "127.0.0.1:8080"`},
		{"not TOML", "domains = [\n\n[sip\n", "F:3: not TOML: "},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			file := write(t, dir, test.file)
			_, err := Load(file)
			if err == nil {
				t.Fatal("the file loads, want an error")
			}
			got := strings.ReplaceAll(strings.ReplaceAll(err.Error(), file, "F"), dir, "D")
			if !strings.HasPrefix(got, test.want) {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestAllProblemsAreReportedInTheirOrder(t *testing.T) {
	file := write(t, t.TempDir(), "domain = [\"example.com\"]\n[sip]\ntrusted = [\"x\"]\nlisten = 5\n[http]\nlisten = \"\"\n[storage]\ndurability = 1\n")
	_, err := Load(file)
	var got []int
	for _, p := range err.(Problems) {
		got = append(got, p.Line)
	}
	if want := []int{1, 3, 4, 8}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("problems in lines %v, want %v:\n%v", got, want, err)
	}
}

func TestMissingFile(t *testing.T) {
	if _, err := Load(filepath.Join(t.TempDir(), "none.toml")); err == nil {
		t.Error("a missing file loads")
	}
}

func TestZeroTurnsTheThrottleOff(t *testing.T) {
	c, err := Load(write(t, t.TempDir(), "[presence]\nnotify-interval = 0\n"))
	if err != nil {
		t.Fatal(err)
	}
	if c.Presence.NotifyInterval != 0 {
		t.Errorf("notify-interval = %v, want 0", c.Presence.NotifyInterval)
	}
}

func FuzzParseConfiguration(f *testing.F) {
	f.Add([]byte(fixedKeys))
	f.Add([]byte("[presence]\nexpires = { min = \"2h\", maks = \"1h\" }\n[[sip]]\nlisten=1\n\"\" = 2\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if c, err := parse("fuzz.toml", data); (c == nil) == (err == nil) {
			t.Errorf("parse gave %v and %v", c, err)
		}
	})
}

func write(t *testing.T, dir, content string) string {
	t.Helper()
	file := filepath.Join(dir, "vigie.toml")
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
