// SPDX-License-Identifier: GPL-3.0-or-later
// Java's own HttpClient and Java's own resolver, with nothing configured: one line for each argument.
//   METHOD URL -> "STATUS ISSUER FIRST LINE", of the certificate's issuer ("-" over http), or "failed EXCEPTION"
//   A NAME     -> the addresses that JNDI's DNS finds

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.security.cert.X509Certificate;
import java.util.Hashtable;
import java.util.Map;
import javax.naming.directory.InitialDirContext;

public class Client {
    private static final HttpClient CLIENT = HttpClient.newHttpClient();

    public static void main(String[] arguments) {
        for (int n = 0; n + 1 < arguments.length; n += 2) {
            try {
                System.out.println(arguments[n].equals("A") ? ask(arguments[n + 1]) : get(arguments[n], arguments[n + 1]));
            } catch (Exception error) {
                System.out.println("failed " + error.getClass().getName());
            }
        }
    }

    private static String get(String method, String url) throws Exception {
        var request = HttpRequest.newBuilder(URI.create(url)).method(method, BodyPublishers.noBody()).build();
        var answer = CLIENT.send(request, BodyHandlers.ofString());
        var issuer = "-";
        if (answer.sslSession().isPresent()) {
            var certificate = (X509Certificate) answer.sslSession().get().getPeerCertificates()[0];
            issuer = certificate.getIssuerX500Principal().getName().replace(' ', '_');
        }
        return answer.statusCode() + " " + issuer + " " + answer.body().lines().findFirst().orElse("");
    }

    private static String ask(String name) throws Exception {
        var how = new Hashtable<>(Map.of("java.naming.factory.initial", "com.sun.jndi.dns.DnsContextFactory", "java.naming.provider.url", "dns:"));
        var found = new InitialDirContext(how).getAttributes(name, new String[] {"A"}).get("A");
        return found == null ? "none" : String.valueOf(found.get());
    }
}
