namespace GptFunctions.Tests.Support;

/// <summary>One app with a database of its own for all tests of a class; the tests stay apart by using different clients and users.</summary>
public class AppFixture<TTests> : IAsyncLifetime
{
    internal TestApp App { get; private set; } = null!;

    internal OAuthFlow Flow { get; private set; } = null!;

    /// <summary>What differs from the default settings.</summary>
    protected virtual IEnumerable<KeyValuePair<string, string?>> Settings => [];

    public async Task InitializeAsync()
    {
        App = await TestApp.StartAsync(TestDatabase.NameFor(typeof(TTests)), new Dictionary<string, string?>(Settings, StringComparer.Ordinal));
        Flow = new OAuthFlow(App.Http);
    }

    public async Task DisposeAsync() => await App.DisposeAsync();
}
