namespace GptFunctions.Tests.Support;

/// <summary>One app for all tests of a class that runs functions of the test assembly.</summary>
public abstract class TestFunctionsFixture : IAsyncLifetime
{
    internal TestApp App { get; private set; } = null!;

    protected abstract IReadOnlyList<string> Functions { get; }

    protected virtual Task<IReadOnlyDictionary<string, string?>> SettingsAsync() =>
        Task.FromResult<IReadOnlyDictionary<string, string?>>(new Dictionary<string, string?>(StringComparer.Ordinal));

    public async Task InitializeAsync() =>
        App = await TestFunctions.StartAsync(GetType().Name, new(await SettingsAsync(), StringComparer.Ordinal), [.. Functions]);

    public virtual async Task DisposeAsync() => await App.DisposeAsync();
}
