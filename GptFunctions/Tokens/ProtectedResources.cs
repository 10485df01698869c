using System.Collections.Frozen;
using Microsoft.Extensions.Options;

namespace GptFunctions.Tokens;

/// <summary>An MCP endpoint beneath the gateway. It is a resource of its own (RFC 9728 3.3), under the URL that a person types into a host.</summary>
/// <param name="Path">As it stands in the URL: /gpt/mcp.</param>
/// <param name="Name">For people (resource_name).</param>
/// <param name="Scopes">All that its tools may need.</param>
internal sealed record McpEndpoint(string Path, string Name, IReadOnlyList<string> Scopes);

/// <summary>The endpoints that one room serves; each room that has some registers this, and <see cref="ProtectedResources"/> puts them together.</summary>
internal sealed record McpEndpoints(IReadOnlyList<McpEndpoint> All);

/// <summary>Something that access tokens are for (RFC 8707).</summary>
/// <param name="Path">What stands behind the well-known part of the URL of its metadata.</param>
/// <param name="Name">For people; null for the gateway.</param>
internal sealed record ProtectedResource(string Path, string Url, string? Name, IReadOnlyList<string> Scopes);

/// <summary>
/// The resources: the gateway, and each MCP endpoint beneath it. A session is for one of them; its tokens name every resource that they are good for,
/// so that each endpoint finds itself there, as MCP demands.
/// </summary>
internal sealed class ProtectedResources
{
    public const string GatewayPath = "/gpt";

    private readonly FrozenDictionary<string, ProtectedResource> byPath;
    private readonly string[] urls;

    public ProtectedResources(IEnumerable<McpEndpoints> served, ScopeCatalog scopes, IOptions<TokenSettings> settings)
    {
        var endpoints = served.SelectMany(room => room.All).GroupBy(endpoint => endpoint.Path, StringComparer.Ordinal);
        Gateway = new ProtectedResource(GatewayPath, settings.Value.GatewayResource, null, scopes.Names);
        All =
        [
            Gateway,
            .. endpoints.Select(parts => new ProtectedResource(
                parts.Key, settings.Value.PublicBaseUrl + parts.Key, parts.First().Name,
                [.. scopes.Names.Intersect(parts.SelectMany(part => part.Scopes), StringComparer.Ordinal)])),
        ];
        byPath = All.ToFrozenDictionary(resource => resource.Path, StringComparer.Ordinal);
        urls = [.. All.Select(resource => resource.Url)];
    }

    public ProtectedResource Gateway { get; }

    /// <summary>The gateway first.</summary>
    public IReadOnlyList<ProtectedResource> All { get; }

    public ProtectedResource? Find(string path) => byPath.GetValueOrDefault(path);

    public bool Has(string url) => urls.Contains(url, StringComparer.Ordinal);

    /// <summary>What the tokens of a session for this resource are good for: of the gateway all, of an endpoint nothing else.</summary>
    public string[] Audience(string url) => url == Gateway.Url ? urls : [url];

    /// <summary>
    /// The resources of sessions that may have a token for this one alone (RFC 8707 2.2): itself, and what it lies beneath; null, which is any, for none.
    /// </summary>
    public string[]? Around(string? url) => url is null ? null : url != Gateway.Url && Has(url) ? [url, Gateway.Url] : [url];
}
