using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using GptFunctions.Hosting;
using GptFunctions.OAuth;
using GptFunctions.Tokens;
using Microsoft.Extensions.Options;

namespace GptFunctions.Operations;

/// <summary>
/// What each host of <c>infra/hosts.json</c> would see on its way in: the metadata and the challenges at PUBLIC_BASE_URL, asked for as a host does; whether
/// it could register or come with its document, and whether its redirect URI is taken, by the rules alone. For an operator who asks, not for the self-test.
/// </summary>
internal sealed class HostsCheck(
    KnownHosts hosts, ProtectedResources resources, IOptions<TokenSettings> tokens, IOptions<OAuthSettings> settings) : ICheck
{
    public string Name => "hosts";

    private string BaseUrl => tokens.Value.PublicBaseUrl!;

    public async Task RunAsync(Finding finding, CancellationToken cancellationToken)
    {
        foreach (var host in hosts.Judge())
        {
            finding.Details[host.Name] = host.Problem is null ? host.Way : "refused";
            if (host.Problem is not null)
            {
                finding.Say(CheckState.Degraded, $"{host.Name} {host.Way} and is refused: {host.Problem}\n");
            }
        }

        using var http = new HttpClient(new SocketsHttpHandler { AllowAutoRedirect = false, UseCookies = false });
        try
        {
            if (await ProblemWithMetadataAsync(http, cancellationToken) is { } problem)
            {
                finding.Say(CheckState.Blocker, problem);
            }

            var endpoints = resources.All.Where(resource => resource != resources.Gateway).ToList();
            finding.Details["mcp_endpoints"] = string.Join(' ', endpoints.Select(endpoint => endpoint.Url));
            foreach (var endpoint in endpoints)
            {
                if (await ProblemWithChallengeAsync(http, endpoint, cancellationToken) is { } wrong)
                {
                    finding.Say(CheckState.Degraded, $"{wrong} Hosts that know the URL {endpoint.Url} do not find the way to the sign-in.");
                }
            }
        }
        catch (HttpRequestException error)
        {
            finding.Say(CheckState.Degraded, $"{BaseUrl} does not answer from here, so nothing is known of what hosts see there: {error.Message}");
        }
    }

    /// <summary>RFC 8414 3.3: clients insist on the issuer; the endpoints lie with it.</summary>
    private async Task<string?> ProblemWithMetadataAsync(HttpClient http, CancellationToken cancellationToken)
    {
        var url = BaseUrl + "/.well-known/oauth-authorization-server";
        var (document, wrong) = await ReadAsync(http, url, cancellationToken);
        if (wrong is not null)
        {
            return wrong;
        }

        string?[] found =
        [
            document.TextOrNull("issuer") == BaseUrl ? null : $"names the issuer '{document.TextOrNull("issuer")}', and not PUBLIC_BASE_URL",
            .. ((string[])["authorization_endpoint", "token_endpoint", "jwks_uri"])
                .Select(name => document.TextOrNull(name)?.StartsWith(BaseUrl + "/", StringComparison.Ordinal) == true ? null : $"has no {name} below it"),
            document.TryGetProperty("registration_endpoint", out _) == settings.Value.AllowsRegistration
                ? null : "says something else of registration than GPT_CLIENT_REGISTRATION: is it the same program?",
        ];
        return found.FirstOrDefault(problem => problem is not null) is { } first ? $"{url} {first}." : null;
    }

    /// <summary>RFC 9728 5: 401 names the resource's metadata, which names the resource as the host knows it, and us.</summary>
    private async Task<string?> ProblemWithChallengeAsync(HttpClient http, ProtectedResource endpoint, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, endpoint.Url) { Content = new StringContent("{}", Encoding.UTF8, "application/json") };
        using var answer = await http.SendAsync(request, cancellationToken);
        if (answer.StatusCode != HttpStatusCode.Unauthorized)
        {
            return $"{endpoint.Url} answers {(int)answer.StatusCode} without a token, and not 401.";
        }

        if (MetadataOf(answer.Headers.WwwAuthenticate) is not { } url)
        {
            return $"The 401 of {endpoint.Url} names no resource_metadata in WWW-Authenticate: does something in between take it away?";
        }

        var (document, wrong) = await ReadAsync(http, url, cancellationToken);
        return wrong ?? (document.TextOrNull("resource") != endpoint.Url ? $"{url} is about the resource '{document.TextOrNull("resource")}'."
            : !document.TryGetProperty("authorization_servers", out var servers) || !servers.EnumerateArray().Any(server => server.GetString() == BaseUrl)
                ? $"{url} does not name {BaseUrl} as its authorization server."
                : null);
    }

    private static string? MetadataOf(HttpHeaderValueCollection<AuthenticationHeaderValue> challenges) => challenges
        .Select(challenge => challenge.Parameter?.Split("resource_metadata=\"")).FirstOrDefault(parts => parts is [_, _])?[1].Split('"')[0];

    private static async Task<(JsonElement Document, string? Problem)> ReadAsync(HttpClient http, string url, CancellationToken cancellationToken)
    {
        using var answer = await http.GetAsync(new Uri(url), cancellationToken);
        if (answer.StatusCode != HttpStatusCode.OK)
        {
            return (default, $"{url} answers {(int)answer.StatusCode}.");
        }

        try
        {
            var document = JsonElement.Parse(await answer.Content.ReadAsStringAsync(cancellationToken));
            return document.ValueKind == JsonValueKind.Object ? (document, null) : (default, $"{url} is no JSON object.");
        }
        catch (JsonException)
        {
            return (default, $"{url} is no JSON.");
        }
    }
}
