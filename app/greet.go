package app

import "fmt"

// greet tells a person, at the first start, the administrator's password and
// what to do next.
func (s *Server) greet() {
	if s.admin == nil || s.options.Output == nil {
		return
	}
	domain := s.domains[0]
	fmt.Fprintf(s.options.Output, `
Made the administrator %s with the password
    %s
It is shown this once; "vigie account password %[1]s" changes it.

What next:
    vigie account add alice@%[3]s --data %[4]s        an account for a phone
    vigie publish alice@%[3]s --activity meeting --data %[4]s
    vigie watch alice@%[3]s --data %[4]s
    vigie config > vigie.toml                  everything that can be set
`, s.admin.Address, s.admin.Password, domain, s.options.Data)
	if s.config.File == "" {
		fmt.Fprintf(s.options.Output, "\nWithout a configuration file, the domains are this machine's names and addresses.\n"+
			"For your own, write a file with   domains = [\"example.com\"]   and give it with --config.\n")
	}
	fmt.Fprintln(s.options.Output)
}
