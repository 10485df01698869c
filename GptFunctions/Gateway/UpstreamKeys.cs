using System.Collections.Frozen;
using System.Text.RegularExpressions;
using GptFunctions.Hosting;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Primitives;

namespace GptFunctions.Gateway;

/// <summary>A header that a route sets for its upstream.</summary>
/// <param name="Template">Its value, in which <c>{secret:NAME}</c> stands for a secret.</param>
/// <param name="Secrets">The names of those.</param>
internal sealed partial record UpstreamHeader(string Name, string Template, IReadOnlyList<string> Secrets)
{
    /// <summary>Null for what cannot be a header's value, or a placeholder that is none.</summary>
    public static UpstreamHeader? Parse(string name, string template)
    {
        var secrets = Placeholder().Matches(template).Select(match => match.Groups["name"].Value).Distinct(StringComparer.Ordinal).ToArray();
        return IsValue(template) && !Placeholder().Replace(template, "").Contains("{secret", StringComparison.OrdinalIgnoreCase)
            ? new UpstreamHeader(name, template, secrets)
            : null;
    }

    /// <summary>RFC 9110 5.5, without obsolete text.</summary>
    public static bool IsValue(string text) =>
        text.Length > 0 && text.AsSpan().Trim().Length == text.Length && !text.AsSpan().ContainsAnyExceptInRange(' ', '~');

    /// <param name="find">Says a secret by its name.</param>
    public string Fill(Func<string, string> find) => Placeholder().Replace(Template, match => find(match.Groups["name"].Value));

    [GeneratedRegex(@"\{secret:(?<name>[A-Z][A-Z0-9_]{0,63})\}", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Placeholder();
}

/// <summary>
/// The headers that routes set, with the secrets in them: read at the start, which a missing one stops, and again when a file of the secrets mount
/// changes. What is bad then is reported by its name, and the last good values stay in force. Values are never logged.
/// </summary>
internal sealed partial class UpstreamKeys : IDisposable
{
    private static readonly (string, string)[] None = [];
    private readonly GatewayRoute[] routes;
    private readonly IConfiguration configuration;
    private readonly RefusedChanges refused;
    private readonly ILogger<UpstreamKeys> logger;
    private readonly IDisposable watch;
    private volatile FrozenDictionary<string, (string Name, string Value)[]> headers;

    /// <summary>Throws <see cref="OptionsValidationException"/> when secrets are missing, with all of them.</summary>
    public UpstreamKeys(GatewayRoutes routes, IConfiguration configuration, RefusedChanges refused, ILogger<UpstreamKeys> logger)
    {
        (this.routes, this.configuration) = ([.. routes.All.Where(route => route.Headers.Count > 0)], configuration);
        (this.refused, this.logger) = (refused, logger);
        (headers, var problems) = Read();
        if (problems.Count > 0)
        {
            throw new OptionsValidationException(nameof(UpstreamKeys), typeof(GatewaySettings), problems);
        }

        watch = ChangeToken.OnChange(configuration.GetReloadToken, Reload);
    }

    /// <summary>Names and values, as they are now.</summary>
    public (string Name, string Value)[] Of(GatewayRoute route) => route.Headers.Count == 0 ? None : headers[route.Name];

    public void Dispose() => watch.Dispose();

    private void Reload()
    {
        var (read, problems) = Read();
        if (problems.Count == 0)
        {
            headers = read;
            refused.Clear(typeof(UpstreamKeys));
        }
        else
        {
            var text = string.Join(' ', problems);
            refused.Note(typeof(UpstreamKeys), text);
            LogRefused(text);
        }
    }

    private (FrozenDictionary<string, (string Name, string Value)[]> Headers, List<string> Problems) Read()
    {
        var secrets = new Dictionary<string, string>(StringComparer.Ordinal);
        var problems = new List<string>();
        foreach (var (route, header) in routes.SelectMany(route => route.Headers.Select(header => (route, header))))
        {
            foreach (var name in header.Secrets)
            {
                secrets[name] = configuration[name]?.Trim() ?? "";
                if (!UpstreamHeader.IsValue(secrets[name]))
                {
                    var lack = secrets[name].Length == 0 ? "is not set" : "cannot stand in a header: it must be printable ASCII text of one line";
                    problems.Add(
                        $"{name} {lack}; the gateway's route {route.Name} (line {route.Line}) sends it as {header.Name}. "
                        + $"Set it, or put it into the file {name.Replace('_', '-').ToLowerInvariant()} of SECRETS_PATH.");
                }
            }
        }

        return (
            routes.ToFrozenDictionary(
                route => route.Name, route => route.Headers.Select(header => (header.Name, header.Fill(name => secrets[name]))).ToArray(),
                StringComparer.Ordinal),
            problems);
    }

    [LoggerMessage(6024, LogLevel.Error, "Changed keys of upstreams were not taken over, those before stay in force: {Problems}")]
    private partial void LogRefused(string problems);
}
