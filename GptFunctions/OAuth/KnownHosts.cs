using System.Text.Json;
using System.Text.Json.Nodes;
using GptFunctions.Hosting;
using Microsoft.Extensions.Options;

namespace GptFunctions.OAuth;

/// <summary>What a host of <c>infra/hosts.json</c> would meet here.</summary>
/// <param name="Way">How it gets in, or that a setting keeps it out.</param>
/// <param name="Problem">Why it would be refused although the settings let it in, as the end of a sentence; null when it would not.</param>
internal sealed record HostVerdict(string Name, string Way, string? Problem);

/// <summary>
/// The hosts that are known, judged by the rules alone: nothing is registered, and no document is read. The list is a part of the program, so that an image
/// has the one that it was tested with.
/// </summary>
internal sealed class KnownHosts(RegistrationService registration, Clients clients, IOptions<OAuthSettings> settings)
{
    private const string Resource = "hosts.json";

    public IEnumerable<HostVerdict> Judge()
    {
        using var stream = typeof(KnownHosts).Assembly.GetManifestResourceStream(Resource)!;
        foreach (var host in JsonNode.Parse(stream)!["hosts"]!.AsArray())
        {
            yield return Judge(JsonElement.Parse(Fill(host!.ToJsonString())));
        }
    }

    private HostVerdict Judge(JsonElement host)
    {
        var (name, redirect) = (host.TextOrNull("name")!, host.TextOrNull("redirectUri")!);
        if (host.TryGetProperty("document", out var document))
        {
            var url = host.TextOrNull("documentUrl")!;
            return clients.MayBeDocument(url)
                ? new HostVerdict(name, "by its document", Refusal(clients.Judge(url, With(document, url)), redirect))
                : new HostVerdict(name, $"kept out: GPT_CLIENT_METADATA_HOSTS has no {new Uri(url).Host}", null);
        }

        var request = host.GetProperty("registration").Deserialize(OAuthJson.Default.RegistrationRequest)!;
        return settings.Value.AllowsRegistration
            ? new HostVerdict(name, "registers", Refusal(registration.Judge(request), redirect))
            : new HostVerdict(name, "kept out: GPT_CLIENT_REGISTRATION is not true", null);
    }

    private static string? Refusal((string[] RedirectUris, string? Problem) judged, string redirect) => judged.Problem
        ?? (judged.RedirectUris.Any(known => RedirectUri.Matches(known, redirect, isPublicClient: true))
            ? null
            : $"its redirect URI {redirect} would be refused; taken would be {string.Join(' ', judged.RedirectUris)} (GPT_REDIRECT_URIS_ALLOWED).");

    private static string With(JsonElement document, string url)
    {
        var published = JsonObject.Create(document)!;
        published["client_id"] = url;
        return published.ToJsonString();
    }

    private static string Fill(string text) =>
        text.Replace("{port}", "49152", StringComparison.Ordinal).Replace("{id}", "doctor", StringComparison.Ordinal);
}
