using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using GptFunctions.Tests.Clients;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Identity;

/// <summary>npm's oidc-provider in a process of its own, and an app that signs people in there.</summary>
public sealed class OpenIdProviderProcess : IAsyncLifetime
{
    private const string ClientId = "gpt-functions";
    private const string ClientSecret = "a-secret-that-only-the-provider-knows";
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);
    private readonly ConcurrentQueue<string> output = new();
    private Process? process;

    internal TestApp App { get; private set; } = null!;

    internal string Issuer { get; } = $"http://127.0.0.1:{TestApp.FreePort()}";

    public async Task InitializeAsync()
    {
        try
        {
            await StartAsync();
        }
        catch
        {
            await StopProviderAsync(); // nobody disposes of a fixture that did not start
            throw;
        }
    }

    public async Task DisposeAsync()
    {
        await App.DisposeAsync();
        await StopProviderAsync();
    }

    private async Task StartAsync()
    {
        var port = TestApp.FreePort();
        var baseUrl = $"http://127.0.0.1:{port}";
        process = await ClientPackages.StartAsync(
            "oidc-provider.mjs", new Uri(Issuer).Port.ToString(CultureInfo.InvariantCulture), ClientId, ClientSecret, baseUrl + "/oauth/callback");
        var ready = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        process.OutputDataReceived += (_, line) =>
        {
            output.Enqueue(line.Data ?? "");
            if (line.Data == "ready")
            {
                ready.TrySetResult();
            }
        };
        process.ErrorDataReceived += (_, line) => output.Enqueue(line.Data ?? "");
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        await Task.WhenAny(ready.Task, process.WaitForExitAsync()).WaitAsync(Patience);
        Assert.True(ready.Task.IsCompleted, "oidc-provider did not start:\n" + string.Join('\n', output));

        App = await TestApp.StartAsync(nameof(OpenIdSignInTests), new()
        {
            ["PORT"] = port.ToString(CultureInfo.InvariantCulture),
            ["PUBLIC_BASE_URL"] = baseUrl,
            ["CLERK_ISSUER"] = Issuer,
            ["CLERK_OAUTH_CLIENT_ID"] = ClientId,
            ["CLERK_OAUTH_CLIENT_SECRET"] = ClientSecret,
        });
    }

    private async Task StopProviderAsync()
    {
        if (process is null)
        {
            return;
        }

        process.Kill();
        await process.WaitForExitAsync();
        process.Dispose();
    }
}
