using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using GptFunctions.Tests.Clients;

namespace GptFunctions.Tests.Verification;

/// <summary>What takes callbacks, in a process of its own (Clients/callbacks.mjs).</summary>
internal sealed class CallbackReceiver : IAsyncDisposable
{
    public const string Secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    public const string NextSecret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);
    private readonly Process process;
    private readonly HttpClient http;

    private CallbackReceiver(Process process, int port)
    {
        this.process = process;
        http = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{port}") };
        Url = $"http://127.0.0.1:{port}/callbacks";
    }

    public string Url { get; }

    public static async Task<CallbackReceiver> StartAsync()
    {
        var started = await ClientPackages.StartAsync("callbacks.mjs", Secret, NextSecret);
        var line = await started.StandardOutput.ReadLineAsync().WaitAsync(Patience);
        Assert.True(line?.StartsWith("ready ", StringComparison.Ordinal), line ?? await started.StandardError.ReadToEndAsync());
        return new CallbackReceiver(started, int.Parse(line!["ready ".Length..], CultureInfo.InvariantCulture));
    }

    /// <param name="behaviour">ok, 500 or another status, hang, reset, redirect.</param>
    public async Task BehaveAsync(string behaviour) => (await http.GetAsync(new Uri($"/control/behave?with={behaviour}", UriKind.Relative))).Dispose();

    public async Task<List<JsonNode>> ReceivedAsync() =>
        [.. JsonNode.Parse(await http.GetStringAsync(new Uri("/control/received", UriKind.Relative)))!.AsArray().Select(callback => callback!)];

    public async ValueTask DisposeAsync()
    {
        http.Dispose();
        process.Kill();
        await process.WaitForExitAsync();
        process.Dispose();
    }
}
