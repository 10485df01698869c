using System.Collections.Concurrent;
using System.Globalization;
using System.Net.Sockets;
using GptFunctions.Hosting;

namespace GptFunctions.Gateway;

/// <summary>Each upstream takes connections. No request is sent: nobody knows which would be harmless.</summary>
internal sealed class UpstreamCheck(GatewayRoutes routes, SafeMode safeMode) : ICheck
{
    private const int AtOnce = 16;
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(2);

    public string Name => "gateway_upstreams";

    public async Task RunAsync(Finding finding, CancellationToken cancellationToken)
    {
        if (safeMode.IsForAll && routes.All.Any(route => route.IsConsequential))
        {
            finding.Say(CheckState.SafeMode, "SAFE_MODE is true: consequential actions are not forwarded.");
        }

        var upstreams = routes.All.Select(route => route.Upstream).DistinctBy(upstream => upstream.Authority).OrderBy(upstream => upstream.Authority).ToList();
        var problems = new ConcurrentDictionary<Uri, string>();
        await Parallel.ForEachAsync(upstreams, new ParallelOptions { MaxDegreeOfParallelism = AtOnce }, async (upstream, _) =>
        {
            if (await TryAsync(upstream, cancellationToken) is { } problem)
            {
                problems[upstream] = problem;
            }
        });

        foreach (var upstream in upstreams)
        {
            finding.Details[upstream.Authority] = problems.GetValueOrDefault(upstream, "ok");
        }

        if (!problems.IsEmpty)
        {
            // With one of many away its own actions fail; with all of them away this program does.
            finding.Say(
                problems.Count == upstreams.Count ? CheckState.Blocker : CheckState.Degraded,
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"{problems.Count} of {upstreams.Count} upstreams take no connection: "
                        + $"{string.Join(", ", problems.Keys.Select(upstream => upstream.Authority))}."));
        }
    }

    private static async Task<string?> TryAsync(Uri upstream, CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(Limit);
        using var client = new TcpClient();
        try
        {
            await client.ConnectAsync(upstream.IdnHost, upstream.Port, limit.Token);
            return null;
        }
        catch (SocketException error)
        {
            return error.Message;
        }
        catch (OperationCanceledException)
        {
            return $"no connection within {Limit.TotalSeconds} s";
        }
    }
}
